"""What policies are asked to do: so far, how the wrist that they assist moves (GraspGF)."""
