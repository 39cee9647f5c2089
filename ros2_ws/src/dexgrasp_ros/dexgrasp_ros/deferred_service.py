"""A service whose answer takes its time, in a node whose callbacks must not wait."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.service import Service


def answer_later(service: Service) -> None:
    """Lets a service's callback return, instead of the response, a function that gives it.

    The function runs in a thread of its own, and may wait. A coroutine as callback would do the
    same, but rclpy's executors spin without rest while one waits.
    """
    send = service.send_response

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

        threading.Thread(target=work, name=service.srv_name, daemon=True).start()

    service.send_response = send_when_done
