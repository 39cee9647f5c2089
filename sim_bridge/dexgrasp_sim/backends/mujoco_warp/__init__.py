"""mujoco-warp: MuJoCo's models, all environments stepped at once, on a GPU where there is one."""
