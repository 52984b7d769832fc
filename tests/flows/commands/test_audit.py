"""`lexveil audit`: one JSON object, exit code 4 and one line where a claim is broken."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.flows.commands import audit
from lexveil.pipeline.models.card import format_audit, read_card
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Lexveil, assert_refused
from tests.pipeline.stages.test_audit import GATE

if TYPE_CHECKING:
    from tests.conftest import Finished


def test_a_model_that_holds_and_one_that_lies(lexveil: Lexveil, finished: Finished) -> None:
    common = ("-w", finished.workspace.root)
    output = lexveil("audit", *common, "--json")
    assert (output.code, output.err, output.out.count("\n")) == (0, "", 1)
    result = output.json
    assert (result["passed"], result["failed"]) == (True, [])
    # Of its eleven owners the attacks could say nothing.
    assert result["attacks"].startswith("left out: fewer than 20 owners")
    assert {test["test"] for test in result["tests"]} == GATE
    (model,) = finished.workspace.models.iterdir()
    assert read_card(model)["audit"]["attacked"] is False
    assert result["model"] == finished.first["model"]
    assert {test["verdict"] for test in result["tests"]} == {"held"}

    first = read_card(model)["audit"]
    (path,) = finished.workspace.models.glob("*/card.json")
    lies = {"epsilon": 0.5, "noise_multiplier": 9.0, "seeded": True}
    path.write_text(json.dumps(json.loads(path.read_text()) | lies))
    output = lexveil("audit", result["model"], *common, "--gate-only")
    assert output.code == 4
    assert output.err.splitlines()[-1].startswith("error: the audit of")
    assert "accounting" in output.err
    assert "FAILED" in output.out
    assert "not asked for" in output.out
    assert all(test in output.out for test in GATE)
    card = read_card(model)
    assert card["audit"]["failed"] == ["accounting", "secret_randomness"]
    assert card["audit"]["attacked"] is False
    assert card["audit"]["date"] > first["date"]
    assert (model / "MODEL_CARD.md").read_text().count("## Audit") == 1
    said = f"FAILED: accounting, secret_randomness. {len(GATE) - 2} of {len(GATE)}"
    assert format_audit(card).startswith(said)
    held, failed = [
        entry.facts for entry in Workspace.open(finished.workspace.root).log.read() if entry.outcome == "done"
    ][-2:]
    assert (held["name"], held["failed"]) == (result["model"], 0)
    assert failed["failed"] >= 1


def test_no_workspace(lexveil: Lexveil, tmp_path: Path) -> None:
    assert_refused(lexveil, tmp_path, "audit", "-w", "none", says="no workspace")


@pytest.mark.parametrize(
    ("figures", "card_says", "shown"),
    [(None, False, "not asked for"), ({}, False, "left out: fewer than 20 owners"), ({}, True, "done")],
)
def test_whether_the_model_itself_was_attacked(figures: Any, card_says: bool, shown: str) -> None:
    card = {
        "failed": [],
        "attacked": card_says,
        "claimed_epsilon": 8.0,
        "epsilon_lower_bound": 0.1,
        "profile_lower_bound": 0.2,
        "confidence": 0.95,
    }
    audited: Any = SimpleNamespace(
        card=card, saved=SimpleNamespace(name="linear-1"), attacked=figures, unprotected=None, findings=()
    )
    described = audit._describe(audited)
    assert described["attacks"].startswith(shown)
    assert (described["passed"], described["unprotected_figures"], described["tests"]) == (True, "none", [])
