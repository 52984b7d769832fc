"""`lexveil ledger`: what people and auditors see of the spending."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population
from tests.flows.command_line import Lexveil

if TYPE_CHECKING:
    from tests.conftest import Finished

DELTA = 1e-5


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose ledger has a committed and an open run."""
    workspace = Workspace.create_or_open(tmp_path / "w")
    _ = workspace.keys
    ledger = Ledger(workspace.ledger_url(Settings()))
    people = Population("default", unit="owner")
    ledger.set_limit(people, 3.0, DELTA)
    ledger.commit(ledger.reserve(people, Charge(8.0, 0.2, 100), "a", b"wrapped").id, 100)
    ledger.reserve(people, Charge(8.0, 0.2, 50), "b")
    return workspace


@pytest.fixture
def ledger(workspace: Workspace, lexveil: Lexveil) -> Lexveil:
    """Call `lexveil ledger`, in the folder of the workspace."""
    return partial(lexveil, "ledger")


def test_the_table_shows_runs_and_totals(ledger: Lexveil) -> None:
    output = ledger("show", "-w", "w")
    assert (output.code, output.err) == (0, "")
    for word in ("populations", "runs", "committed", "open", "epsilon", "limit", "left"):
        assert word in output.out
    assert "wrapped" not in output.out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spent.svg", "spent.png"])
def test_the_plot(ledger: Lexveil, tmp_path: Path, name: str) -> None:
    assert ledger("show", "-w", "w", "--plot", name, "--json").json["plot"] == name
    drawn = (tmp_path / name).read_bytes()
    if name.endswith("svg"):
        for word in (b"epsilon", b"its limit", b"default (unit owner"):
            assert word in drawn
    else:
        assert drawn.startswith(b"\x89PNG")


def test_what_cannot_be_drawn_or_written_is_one_line(ledger: Lexveil) -> None:
    for arguments, word in (
        (("show", "-w", "w", "--plot", "spent.pdf"), ".svg"),
        (("export", "none/ledger.json", "-w", "w"), "cannot write"),
        (("verify", "--export", "none.json"), "cannot read"),
        (("verify", "--export", "w/workspace.json"), "not a ledger export"),
    ):
        output = ledger(*arguments)
        assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
        assert word in output.err


def test_an_auditor_verifies_the_export_without_the_workspace(
    ledger: Lexveil, workspace: Workspace, tmp_path: Path
) -> None:
    exported = ledger("export", "ledger.json", "-w", "w", "--json").json
    assert exported["entries"] == 4
    workspace.root.rename(tmp_path / "gone")
    result = ledger("verify", "--export", "ledger.json", "--head", exported["head"], "--json").json
    assert (result["intact"], result["claims_hold"]) == (True, True)
    text = (tmp_path / "ledger.json").read_text()
    (tmp_path / "ledger.json").write_text(text.replace('\\"steps\\":50', '\\"steps\\":5'))
    output = ledger("verify", "--export", "ledger.json", "--json")
    assert (output.code, output.json["broken_at"]) == (1, 4)


def test_a_head_that_is_gone_is_found_out(ledger: Lexveil) -> None:
    head = ledger("verify", "-w", "w", "--json").json["head"]
    ledger("limit", "4", "-w", "w")
    assert ledger("verify", "-w", "w", "--head", head).code == 0
    assert ledger("verify", "-w", "w", "--head", "0" * 64).code == 1


def test_the_figures_of_a_run_and_a_new_limit(lexveil: Lexveil, finished: Finished) -> None:
    common = ("-w", finished.workspace.root, "--json")
    shown = lexveil("ledger", "show", *common).json
    (population,), (run,) = shown["populations"], shown["runs"]
    assert run["epsilon"] == finished.first["epsilon"]
    assert (population["unit"], run["state"]) == ("owner", "committed")
    assert population["left"] == pytest.approx(population["limit"] - population["spent"])
    assert lexveil("ledger", "verify", *common).json["intact"] is True
    assert lexveil("ledger", "limit", "20", *common).json["populations"][0]["limit"] == 20
    assert lexveil("ledger", "limit", "0", *common).code == 2
    human = lexveil("ledger", "show", "-w", finished.workspace.root)
    assert human.code == 0
    assert "owner" in human.out
    assert not human.out.startswith("{")


def test_a_broken_ledger_is_exit_code_one(ledger: Lexveil, workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.protected / "ledger.sqlite")) as database:
        triggers = database.execute("select name from sqlite_master where type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            database.execute(f'drop trigger "{trigger}"')
        database.execute("delete from entries where rowid = (select min(rowid) from entries)")
        database.commit()
    output = ledger("verify", "-w", "w", "--json")
    assert (output.code, output.json["intact"]) == (1, False)


def test_a_ledger_that_does_not_answer_is_one_line(ledger: Lexveil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexveil.privacy.database._PAUSES", (0.001,))
    monkeypatch.setenv("LEXVEIL_LEDGER__URL", "postgresql://somebody:password@127.0.0.1:1/ledger")
    output = ledger("show", "-w", "w")
    assert (output.code, output.out) == (3, "")
    assert "does not answer" in output.err
    assert "password" not in output.err


@pytest.mark.parametrize("url", ["mysql://somebody:password@host/ledger", "nonsense password", "sqlite://"])
def test_a_url_of_another_thing_is_one_line(
    ledger: Lexveil, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("LEXVEIL_LEDGER__URL", url)
    output = ledger("show", "-w", "w")
    assert (output.code, output.out) == (3, "")
    assert "the privacy ledger refuses" in output.err
    assert "password" not in output.err
