"""`lexveil detect` in both forms, `review` and `mask --decisions`: what is wrong is said in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lexveil.flows import cli
from lexveil.pipeline.workspace.workspace import Workspace

Lexveil = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lexveil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lexveil:
    """Call the command in this process, in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lexveil.pipeline.logs.set_up_logging", lambda: None)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lexveil", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.out, shown.err

    return call


def test_detect_is_the_file_form_unless_it_is_told_to_evaluate(lexveil: Lexveil) -> None:
    assert "IN" in lexveil("detect", "--help")[1]
    assert "detect evaluate GOLD" in lexveil("detect", "--help")[1]
    assert "GOLD" in lexveil("detect", "evaluate", "--help")[1]
    assert lexveil("detect", "none.jsonl", "out.jsonl")[2] == "error: there is no file none.jsonl\n"
    assert "'IN'" in lexveil("detect")[2]
    assert "'GOLD'" in lexveil("detect", "evaluate")[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["detect", "evaluate", "none.json"], "no such file"),
        (["detect", "evaluate", "gold.jsonl"], "record 1, field spans.0.end"),
        (["detect", "evaluate", "gold.jsonl", "-w", "nowhere"], "no workspace at nowhere"),
        (["review", "-w", "w"], "--all or --gold"),
        (["review", "--all", "-w", "w"], "nothing has been masked"),
        (["review", "--gold", "-w", "w"], "nothing has been masked"),
        (["mask", "--decisions", "none", "-w", "w"], "no file or folder none"),
        (["mask", "--decisions", "gold.jsonl", "-w", "w"], "gold.jsonl: "),
    ],
    ids=lambda value: None if isinstance(value, str) else "_".join(value),
)
def test_what_is_wrong_is_one_line(lexveil: Lexveil, tmp_path: Path, arguments: list[str], says: str) -> None:
    record = {"id": 1, "text": "Wharfinger", "spans": [{"start": 0, "end": 99, "type": "PERSON"}]}
    (tmp_path / "gold.jsonl").write_text(json.dumps(record) + "\n")
    Workspace.create_or_open(tmp_path / "w")
    code, out, err = lexveil(*arguments, *(["--json"] if "mask" in arguments else []))
    assert (code, out) == (2, "")
    assert says in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
    assert "Wharfinger" not in err
