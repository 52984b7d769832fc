"""`lexveil search`: what it costs is asked for beforehand and said afterwards."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lexveil.flows import cli
from lexveil.pipeline.records import run_one_by_one

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def lexveil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lexveil", "search", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), shown.out or shown.err

    return call


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
    ],
)
def test_what_is_not_clear_is_refused(lexveil: Call, tmp_path: Path, arguments: tuple[str, ...], word: str):
    code, said = lexveil(*arguments)
    assert code == 2
    assert word in said
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _in_this_process(*_: object) -> Generator[object]:
    yield run_one_by_one


def test_a_search_on_public_documents_leaves_nothing_behind(
    lexveil: Call, tmp_path: Path, write_jsonl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Worker processes would import everything again; the pool has tests of its own.
    monkeypatch.setattr("lexveil.flows.commands.console.worker_pool", _in_this_process)
    (tmp_path / "lexveil.toml").write_text('[mask]\ndetector = "rules"\n[train]\nheld_out = 0.3\nsteps = 2\n')
    words = {"lease": "The lessee pays the rent of month", "claim": "The court dismisses claim number"}
    rows = [
        {"text": f"{words[label]} {n}.", "label": label} for n in range(30) for label in [list(words)[n % 2]]
    ]
    public = ("--public", write_jsonl(rows), "--trials", "2")
    code, said = lexveil(*public, "--json")
    assert code == 0, said
    found = json.loads(said)
    assert "nothing was charged" in found["statement"]
    assert found["spent"] is None
    assert len(found["trials"]) == 2
    assert "[train]" in found["settings"]
    code, said = lexveil(*public)
    assert "nothing was charged" in said
    assert tomllib.loads(said[said.index("[train]") :])["train"]["steps"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lexveil.toml", "records.jsonl"]
