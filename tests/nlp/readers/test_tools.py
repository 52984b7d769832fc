"""Programs that read files are given nothing but the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexveil.nlp.readers import Limits
from lexveil.nlp.readers.ocr import recognize_text
from lexveil.nlp.readers.tools import run


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that tell what environment they were given."""
    for name in ("antiword", "tesseract"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n/usr/bin/env\n")
        program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", "a secret")


@pytest.mark.usefixtures("programs")
def test_no_program_is_given_the_master_key() -> None:
    printed = run(["antiword"], b"", ".doc", Limits())
    recognized = recognize_text(b"\0", 1, 1)
    for environment in (printed, recognized):
        assert "PATH=" in environment
        assert "a secret" not in environment
