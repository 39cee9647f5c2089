"""What the dexgrasp nodes share.

``contract`` is the topic table, ``qos`` its quality of service, ``parameters`` declares typed
parameters, ``node`` is the lifecycle base, ``node_process`` runs one as a process, ``conversions``
turns messages into arrays and back.
"""
