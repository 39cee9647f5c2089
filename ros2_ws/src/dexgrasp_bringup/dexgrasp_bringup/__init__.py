"""Starts the graph: its description, the command line and the demo."""
