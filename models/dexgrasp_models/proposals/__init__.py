"""From an object's cloud to ranked grasps: the analytic and the learned proposer."""
