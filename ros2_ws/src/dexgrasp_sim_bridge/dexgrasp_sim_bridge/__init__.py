"""The simulator on the topics of the graph."""
