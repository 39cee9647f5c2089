"""Rotations and poses: SO(3), its grid, rigid transforms; farthest-point sampling."""
