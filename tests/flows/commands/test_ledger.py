"""`lexveil ledger`: what people and auditors see of the spending."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.flows import cli
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population

DELTA = 1e-5
Call = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def quiet_again(caplog: pytest.LogCaptureFixture) -> None:
    """The command sets logging up for a process of its own; caplog takes it back."""


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    workspace = Workspace.create_or_open(tmp_path / "w")
    ledger = Ledger(workspace.ledger_url(Settings()))
    people = Population("default", unit="owner")
    ledger.set_limit(people, 3.0, DELTA)
    ledger.commit(ledger.reserve(people, Charge(8.0, 0.2, 100), "a", b"wrapped").id, 100)
    ledger.reserve(people, Charge(8.0, 0.2, 50), "b")
    return workspace


@pytest.fixture
def lexveil(place: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(place.root.parent)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lexveil", "ledger", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), shown.out + shown.err

    return call


def _json(said: tuple[int, str]) -> dict[str, Any]:
    return json.loads(said[1])


def test_the_table_shows_runs_and_totals(lexveil: Call) -> None:
    code, said = lexveil("show", "-w", "w")
    assert code == 0
    for word in ("populations", "runs", "committed", "open", "epsilon", "limit", "left"):
        assert word in said
    assert "wrapped" not in said


@pytest.mark.parametrize("name", ["spent.svg", "spent.png"])
def test_the_plot(lexveil: Call, tmp_path: Path, name: str) -> None:
    assert _json(lexveil("show", "-w", "w", "--plot", name, "--json"))["plot"] == name
    drawn = (tmp_path / name).read_bytes()
    if name.endswith("svg"):
        for word in (b"epsilon", b"its limit", b"default (unit owner"):
            assert word in drawn
    else:
        assert drawn.startswith(b"\x89PNG")


def test_what_cannot_be_drawn_or_written_is_one_line(lexveil: Call) -> None:
    for arguments, word in (
        (("show", "-w", "w", "--plot", "spent.pdf"), ".svg"),
        (("export", "none/ledger.json", "-w", "w"), "can't write"),
        (("verify", "--export", "none.json"), "can't read"),
        (("verify", "--export", "w/workspace.json"), "no ledger export"),
    ):
        code, said = lexveil(*arguments)
        assert code == 2
        assert word in said
        assert len(said.splitlines()) == 1


def test_an_auditor_verifies_the_export_without_the_workspace(
    lexveil: Call, place: Workspace, tmp_path: Path
) -> None:
    exported = _json(lexveil("export", "ledger.json", "-w", "w", "--json"))
    assert exported["entries"] == 4
    place.root.rename(tmp_path / "gone")
    found = _json(lexveil("verify", "--export", "ledger.json", "--head", exported["head"], "--json"))
    assert (found["intact"], found["claims_hold"]) == (True, True)
    text = (tmp_path / "ledger.json").read_text()
    (tmp_path / "ledger.json").write_text(text.replace('\\"steps\\":50', '\\"steps\\":5'))
    code, said = lexveil("verify", "--export", "ledger.json", "--json")
    assert (code, json.loads(said)["broken_at"]) == (1, 4)


def test_a_head_that_is_gone_is_found_out(lexveil: Call) -> None:
    head = _json(lexveil("verify", "-w", "w", "--json"))["head"]
    lexveil("limit", "4", "-w", "w")
    assert lexveil("verify", "-w", "w", "--head", head)[0] == 0
    assert lexveil("verify", "-w", "w", "--head", "0" * 64)[0] == 1


def test_a_ledger_that_does_not_answer_is_one_line(lexveil: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexveil.privacy.database._PAUSES", (0.001,))
    monkeypatch.setenv("LEXVEIL_LEDGER__URL", "postgresql://somebody:password@127.0.0.1:1/ledger")
    code, said = lexveil("show", "-w", "w")
    assert code == 3
    assert "does not answer" in said
    assert "password" not in said


@pytest.mark.parametrize("url", ["mysql://somebody:password@host/ledger", "nonsense password", "sqlite://"])
def test_a_url_of_another_thing_is_one_line(lexveil: Call, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LEXVEIL_LEDGER__URL", url)
    code, said = lexveil("show", "-w", "w")
    assert code == 3
    assert "the privacy ledger refuses" in said
    assert "password" not in said
