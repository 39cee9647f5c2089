"""What the dexgrasp nodes share.

``contract`` is the topic table, ``qos`` its quality of service, ``parameters`` declares typed
parameters, ``node`` is the lifecycle base and the runner, ``conversions`` turns messages into
arrays and back.
"""
