"""Sets of grasps and of clouds: synthesised, tried, rendered."""
