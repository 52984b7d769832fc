"""What the tests of the command line share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.flows.command_line import Lexveil, call


@pytest.fixture
def own_logging() -> Iterator[None]:
    """A command sets logging up for a process of its own; afterwards it is as before."""
    log = logging.getLogger("lexveil")
    before = (list(log.handlers), log.propagate, log.level)
    yield
    log.handlers[:], log.propagate, log.level = before
    logging.captureWarnings(False)


@pytest.fixture
def lexveil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_logging: None
) -> Lexveil:
    """Call the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(call, capsys)
