"""A person's wrist on the graph."""
