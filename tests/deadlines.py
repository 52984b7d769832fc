"""The one deadline of the tests: it ends a test that hangs, and decides nothing else.

Machines are busy: what takes a second on a quiet one may take minutes. So no test rests on how long a thing
takes, and whoever waits, waits until it happens or until this long has passed.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

HANGS_AFTER = 900.0  # seconds


def wait_until(holds: Callable[[], object], pause: float = 0.05) -> None:
    """Wait until a condition holds; one that never does fails the test."""
    until = time.monotonic() + HANGS_AFTER
    while not holds():
        assert time.monotonic() < until, "it never happened"
        time.sleep(pause)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a server of a fixture, which no test is about: kill it if it does not end when told to."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
