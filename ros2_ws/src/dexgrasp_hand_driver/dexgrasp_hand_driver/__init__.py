"""The Shadow Hand on the topics of the graph."""
