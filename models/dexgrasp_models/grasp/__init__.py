"""Grasp synthesis: from an object cloud to ranked grasps."""
