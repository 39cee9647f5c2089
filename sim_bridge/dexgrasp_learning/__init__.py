"""Tasks for many hands at once, and learning in them; without ROS."""
