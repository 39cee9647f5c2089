"""The node that proposes grasps."""
