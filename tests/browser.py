"""Chromium without a window, told what to do through a pipe: no driver, no port and no network."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAME = "chromium"
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
PATIENCE_S = 120  # A bare machine starts it slowly.


def find_browser() -> str | None:
    """Where Chromium is; None where it is not."""
    return shutil.which(NAME)


class Browser:
    """One page of a browser.

    events: What it told since the page was opened: the names of its events.
    """

    def __init__(self, profile: Path):
        """profile: A folder of its own, for what it keeps."""
        orders, self.to = os.pipe()  # First, so that the other one is never number 3.
        self.back, replies = os.pipe()
        self.events: list[str] = []
        self.heard, self.n_sent, self.session = b"", 0, {}
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{orders} 4>&{replies}', "bash", NAME, *OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(orders, replies), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(orders), os.close(replies)
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime"):
            self.tell(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        os.close(self.to), os.close(self.back)

    def tell(self, method: str, **settings: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and what comes of it."""
        self.n_sent += 1
        order = {"id": self.n_sent, "method": method, "params": settings, **self.session}
        os.write(self.to, json.dumps(order).encode() + b"\0")
        while (reply := self.hear()).get("id") != self.n_sent:
            pass
        assert "error" not in reply, reply
        return reply["result"]

    def hear(self) -> dict[str, Any]:
        while b"\0" not in self.heard:
            assert select.select([self.back], [], [], PATIENCE_S)[0], "The browser says nothing."
            part = os.read(self.back, 1 << 20)
            assert part, "The browser has ended."
            self.heard += part
        one, _, self.heard = self.heard.partition(b"\0")
        message = json.loads(one)
        if "method" in message:
            self.events.append(message["method"])
        return message

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
        """Show a page and wait until it is loaded, and what it names, too.

        width (int): In CSS pixels. scheme (str): The colours that the user prefers, light or dark.
        """
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.tell("Page.navigate", url=page.as_uri())
        while "Page.loadEventFired" not in self.events:
            self.hear()

    def run(self, script: str) -> Any:
        """The value of an expression on the page, whatever the page allows its own scripts."""
        result = self.tell("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def shoot(self, path: Path) -> None:
        """A picture of the whole page, as .png."""
        picture = self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(picture))
