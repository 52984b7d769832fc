"""`lexveil serve` and its end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_an_end_while_it_starts_is_logged(
    finished: Any, command_in: Callable[[Path], Any], tmp_path: Path
) -> None:
    """SIGTERM comes before the server has handlers of its own."""
    place, settings = finished.workspace, finished.settings
    process = command_in(tmp_path).start("serve", "-w", place.root, "--port", "0")
    assert process.stdout.readline().startswith("url")
    while not place.with_settings(settings).log.read():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [entry.outcome for entry in place.with_settings(settings).log.read()] == ["started", "done"]
