"""A real browser for tests: headless Chromium, told what to do over its own debugging protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import HANGS_AFTER, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One tab. Keys and clicks go through the browser's own input, not through the page's functions."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.problems: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=HANGS_AFTER))
            # At level "info" the browser tells, for one, that keys came before the autofocus.
            level = answer.get("params", {}).get("entry", {}).get("level")
            if answer.get("method") == "Runtime.exceptionThrown" or level in ("warning", "error"):
                self.problems.append(json.dumps(answer["params"]))
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, page: Path, downloads: Path) -> None:
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self.send("Page.navigate", url=page.as_uri())
        self.wait_for("document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str) -> None:
        wait_until(lambda: self.ask(expression))

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path, width: int, height: int, dark: bool = False) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = "dark" if dark else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in `folder`, until the block ends."""
    from websockets.sync.client import connect

    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port = _port(folder / "DevToolsActivePort")
            with connect(f"ws://127.0.0.1:{port}{_target(port)}", max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()


def _port(file: Path) -> int:
    wait_until(lambda: file.exists() and "\n" in file.read_text())
    return int(file.read_text().split("\n")[0])


def _target(port: int) -> str:
    import httpx

    tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=HANGS_AFTER).json()
    (tab,) = [tab for tab in tabs if tab["type"] == "page"]
    return tab["webSocketDebuggerUrl"].split(str(port), 1)[1]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless Chromium for all tests that look at a page."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found
