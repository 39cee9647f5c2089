"""The node that carries grasps out."""
