"""What the tests of the command line share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.flows.command_line import Lexveil, call


@pytest.fixture
def lexveil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lexveil:
    """Call the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(call, capsys)
