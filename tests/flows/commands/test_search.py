"""`lexveil search`: what it costs is asked for beforehand and said afterwards."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lexveil.pipeline.records import run_one_by_one
from tests.flows.command_line import Lexveil, assert_refused


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--public"),
        (("--public", "a.jsonl", "--trial-epsilon", "1"), "--trial-epsilon"),
        (("--public", "a.jsonl", "-w", "mine"), "drop -w"),
        (("--trial-epsilon", "0"), "above 0"),
        (("--trial-epsilon", "nan"), "above 0"),
        (("--public", "none.jsonl"), "none.jsonl"),
        (("--trial-epsilon", "1", "-w", "none"), "no workspace"),
        (("--trial-epsilon", "1", "--trials", "1"), "--trials"),
        (("--trial-epsilon", "1001"), "at most 1000"),
    ],
)
def test_what_is_not_clear_is_refused(
    lexveil: Lexveil, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    assert_refused(lexveil, tmp_path, "search", *arguments, says=word)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _in_this_process(*_: object, **__: object) -> Generator[object]:
    yield run_one_by_one


@pytest.mark.slow
def test_a_search_on_public_documents_leaves_nothing_behind(
    lexveil: Lexveil, tmp_path: Path, write_jsonl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Worker processes would import everything again; the pool has its own tests.
    monkeypatch.setattr("lexveil.flows.commands.console.worker_pool", _in_this_process)
    (tmp_path / "lexveil.toml").write_text('[mask]\ndetector = "rules"\n[train]\nheld_out = 0.3\nsteps = 2\n')
    words = {"lease": "The lessee pays the rent of month", "claim": "The court dismisses claim number"}
    rows = [
        {"text": f"{words[label]} {n}.", "label": label} for n in range(30) for label in [list(words)[n % 2]]
    ]
    public = ("search", "--public", write_jsonl(rows), "--trials", "2")
    output = lexveil(*public, "--json")
    assert output.code == 0, output.err
    result = output.json
    assert "nothing was charged" in result["statement"]
    assert result["spent"] is None
    assert len(result["trials"]) == 2
    assert "[train]" in result["settings"]
    shown = lexveil(*public).out
    assert "nothing was charged" in shown
    assert tomllib.loads(shown[shown.index("[train]") :])["train"]["steps"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lexveil.toml", "records.jsonl"]
