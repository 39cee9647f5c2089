"""The grasping scene in a browser.

``scene`` and ``panel`` turn arrays and texts into what viser shows and know nothing of ROS;
``viewer_node`` feeds them from the topics of the contract and sends what the buttons ask for.
"""
