"""The pure core of dexgrasp: descriptions, kinematics, perception, grasp synthesis and control.

Arrays in, arrays out; nothing here knows ROS or a simulator.
"""
