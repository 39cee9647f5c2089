"""Depth and color images of a simulated scene, and their noise."""
