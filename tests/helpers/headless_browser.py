"""Chromium without a window, driven through its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import ClientConnection, connect

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # WebGL without a GPU.
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
)  # fmt: skip
_START_TIMEOUT = 60.0


def find_chromium() -> str | None:
    """Path of an installed Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class PageError(RuntimeError):
    """The page did not do what it was asked to."""


class Page:
    """A page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count()

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a DevTools command and returns its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=60.0))
            if answer.get("id") == number:
                if "error" in answer:
                    raise PageError(answer["error"]["message"])
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise PageError(result["result"]["description"])
        return result["result"].get("value")

    @property
    def text(self) -> str:
        """All text that is to be read in the page; none while it loads."""
        try:
            return self.evaluate("document.body ? document.body.innerText : ''")
        except PageError:
            return ""

    def wait_for_text(self, wanted: str, timeout: float) -> None:
        """Waits until the page says `wanted`."""
        deadline = time.monotonic() + timeout
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"no '{wanted}' in the page:\n{self.text}"
            time.sleep(0.2)

    def click(self, label: str) -> None:
        """Presses the button with this label."""
        self.evaluate(
            "[...document.querySelectorAll('button')]"
            f".find(button => button.innerText.trim() === {json.dumps(label)}).click()"
        )

    def screenshot(self) -> np.ndarray:
        """(H, W, 3) uint8, red first."""
        data = base64.b64decode(self.command("Page.captureScreenshot")["data"])
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@contextlib.contextmanager
def open_page(chromium: str, url: str, profile: Path) -> Iterator[Page]:
    """The page at `url` in a browser of its own; `profile` is an empty folder for it."""
    command = [chromium, *_FLAGS, f"--user-data-dir={profile}", "--window-size=1280,800", url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = _page_address(process, profile / "DevToolsActivePort")
        # Screenshots are large.
        with connect(address, max_size=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _page_address(process: subprocess.Popen, port_file: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the browser ended with status {process.returncode}"
        with contextlib.suppress(OSError, IndexError):
            port = port_file.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5.0) as answer:
                targets = json.load(answer)
            pages = [target for target in targets if target["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.2)
    raise AssertionError("the browser opened no page")
