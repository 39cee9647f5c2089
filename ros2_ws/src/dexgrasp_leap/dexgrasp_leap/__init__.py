"""A person's wrist, as a Leap Motion sees it, on the topics of the graph."""
