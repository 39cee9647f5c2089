"""A service whose answer takes its time, in a node whose callbacks must not wait."""

from __future__ import annotations

from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.service import Service

from dexgrasp_ros.worker import Worker


def answer_later(service: Service) -> None:
    """Lets a service's callback return, instead of the response, a function that gives it.

    The functions run one after the other in a thread of the service's own, and may wait. A
    coroutine as callback would do the same, but rclpy's executors spin without rest while one
    waits.
    """
    worker = Worker(service.srv_name)
    send, destroy = service.send_response, service.destroy

    def send_when_done(response: Any, request_header: Any) -> None:
        if not callable(response):
            send(response, request_header)
            return

        def work() -> None:
            answer = response()
            try:
                send(answer, request_header)
            except InvalidHandle:  # the node has ended meanwhile
                return

        worker.start(work)

    def end() -> None:
        worker.end()
        destroy()

    service.send_response, service.destroy = send_when_done, end
