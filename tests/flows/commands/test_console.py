"""What the command line prints: JSON or lines, tables, progress and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.flows.commands import console
from lexveil.pipeline.records import Manifest, ShardResult

if TYPE_CHECKING:
    from tests.conftest import Finished


def test_a_terminal_shows_stage_shards_rate_and_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with console.progress(quiet=False) as listener:
        assert listener is not None
        listener("encode-embedding", 0, 4)
        listener("encode-embedding", 1, 4, 256)
        listener("train", 0, 1)
    shown = capsys.readouterr().err
    assert "encode-embedding" not in shown
    for part in ("start", "encode", "1/4", "documents/s", "train", "0/1"):
        assert part in shown


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=True) as listener:
        assert listener is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("documents", "seconds", "shown"),
    [(0, 5.0, ""), (5, 0.0, ""), (1, 4.0, "0.25 documents/s"), (123_456, 10.0, "12,346 documents/s")],
)
def test_a_rate_in_words(documents: int, seconds: float, shown: str) -> None:
    assert console.format_rate(documents, seconds) == shown


RESULT: dict[str, Any] = {
    "name": "linear-1",
    "epsilon": 7.995612,
    "labels": {"a": 1, "b": 2},
    "nothing": {},
    "where": Path("w/models"),
    "missing": None,
    "models": ["linear-1", "mlp-2"],
    "places": [],
    "rows_of_it": [{"id": "[red]one[/red]", "value": 0.123456}, {"id": "two", "value": 2}],
}


def test_a_result_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    console.show(RESULT, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {**RESULT, "where": "w/models"}


def test_or_a_line_per_value_and_a_table_per_list(capsys: pytest.CaptureFixture[str]) -> None:
    console.show(RESULT, as_json=False)
    shown = capsys.readouterr().out
    lines = ["name: linear-1", "epsilon: 7.996", "labels: a 1, b 2", "nothing: none", "where: w/models"]
    lines += ["missing: none", "models: linear-1, mlp-2", "places: none"]
    assert set(lines) <= set(shown.splitlines())
    assert "rows of it" in shown
    assert "[red]one[/red]" in shown  # no markup
    assert "0.1235" in shown


def test_values_are_not_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.show({"spans_by_type": {":DATE:": 3, "[bold]": 1}}, as_json=False)
    assert capsys.readouterr().out == "spans by type: :DATE: 3, [bold] 1\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.print_error("two\n  lines  of it", 3) == 3
    assert capsys.readouterr() == ("", "error: two lines of it\n")


def test_what_a_stage_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    shards = tuple(ShardResult(index, f"key{index}", 2, "digest", {"spans": 3}) for index in range(2))
    manifest = Manifest(
        "mask", shards, done_now=1, more={"duplicates": 1}, redone={"mask": "1: other settings"}
    )
    console.show_manifest(manifest, True, reviewed=4)
    assert json.loads(capsys.readouterr().out) == {
        "stage": "mask",
        "shards": 2,
        "shards_done_now": 1,
        "rows": 4,
        "duplicates": 1,
        "spans": 6,
        "reviewed": 4,
        "redone": {"mask": "1: other settings"},
    }


def test_a_run_for_people_ends_with_its_report(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    console.show_run({**finished.first, "changed": False}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert f"ingested: {finished.first['ingested']}" in lines
    assert f"model: {finished.first['model']}" in lines
    assert any(line.startswith("privacy of the weights: epsilon") for line in lines)
    assert lines[-2:] == [
        "Nothing changed since the last run; nothing was done.",
        f"Report: {finished.first['report']}",
    ]


@pytest.mark.parametrize(("value", "debugging"), [("unsafe", True), ("1", False), ("", False)])
def test_tracebacks_are_for_those_who_say_unsafe(
    value: str, debugging: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXVEIL_DEBUG", value)
    assert console.is_debugging() is debugging
