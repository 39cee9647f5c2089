"""The process that servos the arm: all that touches the controller's client, and nothing else.

It may hang or end at any time, and nothing moves then: the controller's own watchdog stops its
program where set-points stay away. It ends at every fault, with the reason as its last word; a
fresh one is started by `servo_supervisor`, and waits there for a person's word to go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Entry point: the descriptor of the connection to the node, and its process id, are given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node ends this process, not the terminal
    _die_with_parent(int(sys.argv[2]))
    # Only now, as this takes a while.
    from dexgrasp_arm_driver.servo_loop import Fault, Priority, Servo
    from dexgrasp_arm_driver.servo_messages import Ended

    node = Connection(int(sys.argv[1]))
    reason = ""
    try:
        settings = node.recv()
        # By a name, so that the client in it is there until the end.
        servo = Servo(node, settings, Priority(settings.controller.realtime_priority))
        servo.run()
    except (Fault, ConnectionError) as fault:
        reason = str(fault)
    except EOFError:
        reason = "the node is gone"
    except Exception as error:
        reason = f"the servo process has failed: {error!r}"
    with contextlib.suppress(OSError):
        node.send(Ended(reason))
    # Destructors of the client may hang or end the process with a signal.
    os._exit(0)


def _die_with_parent(parent: int) -> None:
    """Has the kernel end this process with the thread that started it, also while the client's
    code keeps Python from running. The arm's controller stops by its watchdog then."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
