"""Networks that propose grasps, and their losses."""
