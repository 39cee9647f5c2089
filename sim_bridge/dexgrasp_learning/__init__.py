"""Tasks for many hands at once, and learning in them; without ROS.

Its import makes `dexgrasp/Assist-v0` known to Gymnasium.
"""

import gymnasium

gymnasium.register(
    "dexgrasp/Assist-v0",
    entry_point="dexgrasp_learning.gymnasium_env:AssistEnv",
    vector_entry_point="dexgrasp_learning.gymnasium_env:AssistVectorEnv",
)
