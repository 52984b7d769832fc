from __future__ import annotations

import pytest

from lexveil.flows.commands import console


def test_a_terminal_shows_stage_shards_rate_and_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with console.progress(quiet=False) as tell:
        assert tell is not None
        tell("encode-embedding", 0, 4)
        tell("encode-embedding", 1, 4, 256)
        tell("train", 0, 1)
    shown = capsys.readouterr().err
    assert "encode-embedding" not in shown
    for part in ("start", "encode", "1/4", "documents/s", "train", "0/1"):
        assert part in shown


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=True) as tell:
        assert tell is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("documents", "seconds", "shown"),
    [(0, 5.0, ""), (5, 0.0, ""), (1, 4.0, "0.25 documents/s"), (123_456, 10.0, "12,346 documents/s")],
)
def test_a_rate_in_words(documents: int, seconds: float, shown: str) -> None:
    assert console.rate(documents, seconds) == shown
