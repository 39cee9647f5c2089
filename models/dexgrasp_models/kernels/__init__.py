"""Loops over single grasps, compiled with Numba: the optimisations that proposals wait for.

As tensor operations a step of such an optimisation is hundreds of small ones, and what takes the
time is calling them and, where other programs want the processors too, the threads' waiting for
each other in every one of them. Here a grasp's steps are one loop, which nothing else waits for.
The energies are those of `grasp/energy.py` and `nets/losses.py`,
which work on any device and on which the tests check energies and gradients of these.
"""
