"""What policies are asked to do: GraspGF's human-assisting task, and how the wrist moves in it."""
