"""A search says what it cost: every trial and the scores are in the ledger, or everything was public."""

from __future__ import annotations

import json
import math
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages import search
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.search import Candidate, draw_candidates, search_private, search_public
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp import accounting

TRIALS = 3


def settings(limit: float = 20.0, **train: Any) -> Settings:
    return Settings.model_validate(
        {
            "ingest": {"owner_field": "owner"},
            "mask": {"detector": "rules"},
            "train": {"steps": 3, "held_out": 0.3, **train},
            "ledger": {"limit_epsilon": limit},
        }
    )


@pytest.fixture(scope="module")
def encoded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sentences of twenty owners, of two classes."""
    folder = tmp_path_factory.mktemp("search")
    words = {
        "lease": "The lessee shall pay the rent of month",
        "claim": "The court dismisses the claim number",
    }
    rows = [
        {"id": n, "text": f"{words[label]} {n}.", "label": label, "owner": str(n // 2)}
        for n in range(40)
        for label in [("lease", "claim")[n % 2]]
    ]
    source = folder / "records.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace = Workspace.create_or_open(folder / "workspace")
    ingest(workspace.with_settings(settings()), [source])
    mask(workspace.with_settings(settings()))
    encode(workspace.with_settings(settings()), "embedding")
    return workspace.root


@pytest.fixture
def workspace(encoded_once: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(encoded_once, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


def runs(workspace: Workspace, chosen: Settings) -> list[tuple[str, int | None]]:
    ledger, population = open_ledger(workspace.with_settings(chosen))
    try:
        assert ledger.verify().ok
        return [(found.state, found.actual_steps) for found in ledger.reservations(population)]
    finally:
        ledger.close()


def spent(workspace: Workspace, chosen: Settings) -> float:
    ledger, population = open_ledger(workspace.with_settings(chosen))
    try:
        return ledger.spent_epsilon(population, chosen.ledger.limit_delta)
    finally:
        ledger.close()


def test_every_trial_and_the_scores_are_charged(workspace: Workspace) -> None:
    found = search_private(workspace.with_settings(settings()), TRIALS, 2.0)
    assert [state for state, _ in runs(workspace, settings())] == ["committed"] * (TRIALS + 1)
    assert found.spent == spent(workspace, settings()) > 2.0
    assert "private" in found.statement
    assert "3 trials" in found.statement
    assert f"{found.spent:.3g} of 20" in found.statement
    assert len(found.trials) == TRIALS
    written = tomllib.loads(found.settings)
    again = Settings.model_validate(written)
    assert (again.train.steps, again.train.model) == (written["train"]["steps"], "linear")
    # The same search is not paid for twice.
    assert search_private(workspace.with_settings(settings()), TRIALS, 2.0) == found
    assert len(runs(workspace, settings())) == TRIALS + 1


def test_the_noise_of_the_scores_is_that_of_their_charge(workspace: Workspace) -> None:
    found = search_private(workspace.with_settings(settings()), TRIALS, 2.0)
    ledger, population = open_ledger(workspace.with_settings(settings()))
    scoring = ledger.reservations(population)[-1].charge
    ledger.close()
    assert (scoring.sample_rate, scoring.steps) == (1.0, 1)
    assert scoring.noise_multiplier == accounting.noise_multiplier(2.0, 1.0, 1, 1e-5)
    owners = scoring.noise_multiplier * math.sqrt(TRIALS) / found.noise
    assert owners == pytest.approx(round(owners))
    # What the noise explains does not displace the recipe.
    better = max(trial.score for trial in found.trials) - found.trials[0].score
    assert (found.best != 0) == (better > math.sqrt(2) * found.noise)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["after a trial", "before the commits"])
def test_a_killed_search_is_taken_up_again_and_charged_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moment: str
) -> None:
    def kill(stage: str, done: int, total: int, documents: int = 0) -> None:
        if moment == "after a trial" and done == 2:
            raise Killed

    def refuse(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before the commits":
            patch.setattr("lexveil.privacy.dp.ledger.ledger.Ledger.commit", refuse)
        with pytest.raises(Killed):
            search_private(workspace.with_settings(settings()), TRIALS, 2.0, progress=kill)
    assert [state for state, _ in runs(workspace, settings())] == ["open"] * (TRIALS + 1)
    twin = Workspace.open(shutil.copytree(workspace.root, tmp_path / "twin"))
    first, second = (search_private(one.with_settings(settings()), TRIALS, 2.0) for one in (workspace, twin))
    assert first == second
    assert [state for state, _ in runs(workspace, settings())] == ["committed"] * (TRIALS + 1)


def test_a_search_that_does_not_fit_charges_nothing(workspace: Workspace) -> None:
    chosen = settings(limit=3.0)
    with pytest.raises(BudgetRefusedError):
        search_private(workspace.with_settings(chosen), TRIALS, 2.0)
    assert spent(workspace, chosen) == 0
    assert not runs(workspace, chosen)
    # What was refused can be spent.
    search_private(workspace.with_settings(chosen), TRIALS, 0.8)


def test_a_search_on_public_documents_charges_nothing_and_says_so(workspace: Workspace) -> None:
    found = search_public(workspace.with_settings(settings()), TRIALS)
    assert (found.spent, found.noise) == (None, 0)
    assert "nothing was charged" in found.statement
    assert all(0 <= trial.score <= 1 for trial in found.trials)
    assert found.trials[found.best].score == max(trial.score for trial in found.trials)
    assert runs(workspace, settings()) == []


def test_what_cannot_be_searched_is_refused_before_anything_is_charged(workspace: Workspace) -> None:
    for chosen, word in ((settings(objective="denoise"), "labels"), (settings(held_out=0.0), "held-out")):
        with pytest.raises(TrainingRefusedError, match=word):
            search_private(workspace.with_settings(chosen), TRIALS, 2.0)
        assert runs(workspace, chosen) == []


def test_the_candidates_are_public_and_begin_with_the_recipe() -> None:
    many = draw_candidates(45)
    assert many[0] == Candidate()
    assert len(set(many)) == 45
    assert draw_candidates(5) == many[:5]


def test_a_model_that_diverged_is_a_trial_that_told_nothing_rightly(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexveil.privacy.dp.engine import NonFiniteWeightsError

    def diverge(*_: Any, **__: Any) -> None:
        raise NonFiniteWeightsError(1)

    monkeypatch.setattr(search, "fit", diverge)
    assert {trial.score for trial in search_public(workspace.with_settings(settings()), 2).trials} == {0.0}
