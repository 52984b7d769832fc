"""`lexveil detect` in both forms, `anonymize`, `review` and `mask --decisions`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from tests.conftest import Command
from tests.flows.command_line import Lexveil, assert_refused

WriteJsonl = Callable[..., Path]
RECORD = {"id": "a", "text": "Write to john@example.com."}


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_detect_is_for_files_unless_its_next_word_is_evaluate(lexveil: Lexveil, tmp_path: Path) -> None:
    assert "IN" in lexveil("detect", "--help").out
    assert "detect evaluate GOLD" in lexveil("detect", "--help").out
    assert "GOLD" in lexveil("detect", "evaluate", "--help").out
    assert lexveil("detect", "none.jsonl", "out.jsonl").err == "error: there is no file none.jsonl\n"
    assert_refused(lexveil, tmp_path, "detect", says="'IN'")
    assert_refused(lexveil, tmp_path, "detect", "evaluate", says="'GOLD'")
    assert_refused(lexveil, tmp_path, "detect", "files", says="'OUT'")


@pytest.mark.slow
def test_detect_by_workers(lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    output = lexveil("detect", write_jsonl([RECORD]), "out.jsonl", "--workers", "1", "--json")
    assert (output.json["documents"], output.json["spans"]) == (1, 1)
    assert output.err == ""
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert (row["id"], row["spans"][0]["start"], row["spans"][0]["end"]) == ("a", 9, 25)


@pytest.mark.slow
def test_options_may_come_first(lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl([{"key": "k", "body": RECORD["text"]}])
    fields = ("--text-field", "body", "--id-field", "key")
    output = lexveil("anonymize", "--json", "--workers", "1", *fields, path, "out.jsonl")
    assert output.json["documents"] == 1
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert row["id"] == "k"
    assert "john@example.com" not in row["text"]
    assert row["text"].startswith("Write to ")


@pytest.mark.slow
def test_streams(tmp_path: Path, warm: Path) -> None:
    """Results go to stdout alone, what they count to stderr."""
    options = [
        "--format",
        "jsonl",
        "--detector",
        "rules",
        "--language",
        "en",
        "--preset",
        "strict",
        "--keep",
        "n",
    ]
    done = subprocess.run(
        [warm / "lexveil", "anonymize", "-", "-", *options],
        input=json.dumps({**RECORD, "n": 1}),
        env=Command(tmp_path).environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"id": "a", "text": "Write to [EMAIL_1].", "n": 1}
    assert "documents: 1" in done.stderr
    assert "output: -" in done.stderr
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--preset", "none"), "mask.preset"),
        (("--detector", "none"), "mask.detector"),
        (("--language", "xx"), "mask.language"),
        (("--format", "docx"), "--format"),
        (("--keep", "none"), "--keep none"),
        (("--index", "index.csv"), "for folders"),
    ],
)
def test_a_wrong_option_of_a_conversion(
    lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl, options: tuple[str, str], says: str
) -> None:
    path = write_jsonl([RECORD])
    for name in ("detect", "anonymize"):
        rules = () if "--detector" in options else ("--detector", "rules")
        words = (name, path, "out.jsonl", *rules, *options, "--workers", "1")
        assert_refused(lexveil, tmp_path, *words, says=says)


def test_a_missing_file(lexveil: Lexveil, tmp_path: Path) -> None:
    for command in ("detect", "anonymize"):
        assert_refused(lexveil, tmp_path, command, "none.jsonl", "out.jsonl", says="none.jsonl")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["detect", "evaluate", "none.json"], "there is no such file"),
        (["detect", "evaluate", "gold.jsonl"], "record 1, field spans.0.end"),
        (["detect", "evaluate", "gold.jsonl", "-w", "nowhere"], "no workspace at nowhere"),
        (["review", "-w", "w"], "--all or --gold"),
        (["review", "x", "--all", "-w", "w"], "--all or --gold"),
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
    _ = Workspace.create_or_open(tmp_path / "w").keys
    output = lexveil(*arguments, *(["--json"] if "mask" in arguments else []))
    assert (output.code, output.out) == (2, ""), output.err
    assert says in output.err.splitlines()[-1]
    assert output.err.splitlines()[-1].startswith("error: ")
    assert "Wharfinger" not in output.err


@pytest.mark.slow
def test_the_detector_is_scored(lexveil: Lexveil, write_jsonl: WriteJsonl, monkeypatch: Any) -> None:
    monkeypatch.setenv("LEXVEIL_MASK__DETECTOR", "rules")
    span = {"start": 9, "end": 25, "type": "EMAIL"}
    gold = write_jsonl([{**RECORD, "spans": [span]}], "gold.jsonl")
    result = lexveil("detect", "evaluate", gold, "--workers", "1", "--json").json
    assert result["by_type"]["EMAIL"]["recall"] == 1
    shown = lexveil("detect", "evaluate", gold, "--workers", "1").out
    assert "by type" in shown
    assert "EMAIL" in shown


def test_a_page_of_one_document_and_of_all(lexveil: Lexveil, masked: Workspace) -> None:
    common = ("-w", masked.root, "--json")
    part = tables.read_part(next(masked.masked.glob("part-*")))
    doc_ids = tables.to_strings(part, "doc_id")
    one = lexveil("review", doc_ids[0], *common).json
    assert one["pages"] == 1
    assert doc_ids[0] in one["open"]
    every = lexveil("review", "--all", *common).json
    assert every["pages"] == 12
    assert Path(every["open"]).is_file()
    outcomes = [entry.facts.get("pages") for entry in Workspace.open(masked.root).log.read()]
    assert outcomes[-3::2] == [1, 13]


def test_each_span_is_explained_from_what_is_stored(lexveil: Lexveil, masked: Workspace) -> None:
    part = tables.read_part(next(masked.masked.glob("part-*"))).to_pylist()[0]
    common = ("-w", masked.root, "--json")
    lexveil_explain = ("explain", part["doc_id"], *common)
    rows = lexveil(*lexveil_explain).json["spans"]
    assert len(rows) == part["n_spans"]
    assert set(rows[0]) == {"start", "end", "type", "done", "recognizer", "score", "role", "why"}
    shown = lexveil(*lexveil_explain, "--text").json
    original = lexveil("restore", part["doc_id"], "-", "-w", masked.root)
    assert original.code == 0
    assert all(len(row["text"]) == row["end"] - row["start"] for row in shown["spans"])
    assert shown["verdict"] == part["verdict"]
    entry = [entry for entry in Workspace.open(masked.root).log.read() if entry.action == "explain"][-1]
    assert entry.facts["text"] is True
    assert shown["spans"][0]["text"] not in json.dumps(entry.facts)


def test_an_explanation_names_the_rule_only_if_these_settings_masked(
    lexveil: Lexveil, masked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tables.read_part(next(masked.masked.glob("part-*"))).to_pylist()[0]
    monkeypatch.setenv("LEXVEIL_MASK__DETECTOR", masked.settings.mask.detector)
    monkeypatch.setenv("LEXVEIL_MASK__TYPES__DATE", "keep")
    other = lexveil("explain", part["doc_id"], "-w", masked.root, "--json").json
    assert other["policy"].startswith("other settings")
    assert {row["why"] for row in other["spans"]} == {"not stored"}
    assert lexveil("mask", "-w", masked.root, "--json").code == 0
    now = lexveil("explain", part["doc_id"], "-w", masked.root, "--json").json
    why = {(row["type"], row["done"]): row["why"] for row in now["spans"]}
    assert why["PERSON", "token"] == "direct = token"
    assert why.get(("DATE", "keep"), "types.DATE = keep") == "types.DATE = keep"
    assert "no such document" in lexveil("explain", "nobody", "-w", masked.root).err
