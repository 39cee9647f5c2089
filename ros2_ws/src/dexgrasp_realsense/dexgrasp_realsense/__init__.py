"""RealSense cameras, or their recordings, on the topics of the graph."""
