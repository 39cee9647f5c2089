"""MuJoCo: the model of a scene, the simulator, many grasps at once."""
