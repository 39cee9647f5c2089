"""Simulators behind one interface, their scenes and cameras, and what runs on top of them."""
