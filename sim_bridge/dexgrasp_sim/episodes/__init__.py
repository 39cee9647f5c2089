"""Grasps from the cloud to the lift without ROS, and benchmarks of them."""
