"""Training of the networks that propose grasps: data, objectives, one loop."""
