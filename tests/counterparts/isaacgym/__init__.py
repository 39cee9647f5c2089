"""A counterpart of Isaac Gym Preview 4: the part of its interface that the worker uses, by MuJoCo.

Names, argument orders, shapes and conventions are Isaac Gym's: quaternions (x, y, z, w), velocities
of centres of mass, states in the coordinates of the whole simulation, a row for each actor, degree
of freedom and body. Where Isaac Gym leaves an order open, it is here one that nobody would guess.
"""

__version__ = "1.0rc4"
