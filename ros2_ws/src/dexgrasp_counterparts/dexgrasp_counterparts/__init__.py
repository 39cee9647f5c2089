"""Counterparts of the cell's devices: each speaks its device's protocol and knows no driver.

Alone they move as they are told; joined to the simulated robot they move that, and measure it.
"""
