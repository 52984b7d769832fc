"""Audit of a saved model: verdict on the card, unprotected figures inside.

That of a card that lies: `tests/flows/commands/test_audit.py`.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import format_audit, read_card
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.audit import audit, check_card
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace

GATE = {
    "one_run", "one_run_profile", "noise_variance", "noise_shape", "noise_independence", "sample_rate",
    "sample_independence",
    "sensitivity", "owners", "accounting", "secret_randomness",
}  # fmt: skip
CANARY = "Wharfinger"


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"train": {"steps": 5, "held_out": 0.4, **more}})


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A hundred short documents, each its own owner, and a model of them.

    A key drawn by chance decides who is held out: of so many, enough on either side.
    """
    folder = tmp_path_factory.mktemp("audit")
    words = "lease rent tenant notice board vote share merger quorum patent licence royalty"
    bag = words.split()
    dice = np.random.default_rng(3)
    rows = [
        {"id": f"{CANARY}-{i}", "text": " ".join(dice.choice(bag[:6] if i % 2 else bag[6:], 9)),
         "label": f"{CANARY}-{'ab'[i % 2]}"}
        for i in range(100)
    ]  # fmt: skip
    source = folder / "records.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace = Workspace.create_or_open(folder / "workspace")
    ingest(workspace.with_settings(settings()), [source])
    mask(workspace.with_settings(settings()))
    train(workspace.with_settings(settings()))
    return workspace


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(trained_once.root, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


def spent(workspace: Workspace) -> float:
    ledger, population = open_ledger(workspace.with_settings(settings()))
    try:
        return ledger.spent_epsilon(population, 1e-5)
    finally:
        ledger.close()


def test_the_whole_audit(trained: Workspace) -> None:
    before = spent(trained)
    found = audit(trained.with_settings(settings()))
    assert found.card["failed"] == []
    assert {finding.name for finding in found.findings} == {*GATE, "membership"}
    assert spent(trained) == before
    card = read_card(found.saved.folder)
    assert card["audit"] == found.card
    assert format_audit(card).startswith(f"Passed. {len(GATE) + 1} of {len(GATE) + 1} tests held on 20")
    for_people = (found.saved.folder / "MODEL_CARD.md").read_text()
    assert for_people.count("## Audit") == 1
    assert format_audit(card) in for_people

    attacked, path = found.attacked, found.unprotected
    assert attacked is not None
    assert path is not None
    assert attacked.references == 4
    for one in (attacked.membership, attacked.membership_without_privacy):
        assert one is not None
        assert one.members + one.others == 100
    assert attacked.exposure is not None
    assert attacked.exposure_without_privacy is not None
    # The figures lie inside; of them, the card has but whether the test held.
    assert path.is_relative_to(trained.protected)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    inside = json.loads(path.read_text())
    assert inside["membership"]["auc"] == attacked.membership.auc  # pyright: ignore
    assert "auc" not in json.dumps(card)
    assert "auc" not in repr(found)
    assert CANARY not in json.dumps([inside, card["audit"]]) + repr(found)


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, [1, 1]),
        ({"epsilon": 1.0}, [0, 1]),
        ({"reservation": "0" * 32}, [0, 1]),
        ({"noise_multiplier": 99.0}, [0, 1]),
        ({"steps": 6}, [0, 1]),
        ({"seeded": True}, [1, 0]),
    ],
    ids=["right", "epsilon", "reservation", "noise", "steps", "seed"],
)
def test_what_a_card_claims_is_looked_up(
    trained: Workspace, changes: dict[str, Any], held: list[float]
) -> None:
    (path,) = trained.models.glob("*/card.json")
    found = check_card(trained.with_settings(settings()), json.loads(path.read_text()) | changes)
    assert [finding.p_value for finding in found] == held


def test_no_model(masked: Workspace) -> None:
    for name in (None, "linear"):
        with pytest.raises(TrainingRefusedError, match="no model"):
            audit(masked.with_settings(settings()), name)


def test_an_old_card_says_that_there_was_no_audit() -> None:
    assert format_audit({"name": "of-old"}) == "Not audited."
