"""The UR10e as the arm of the graph."""
