"""Promise: the one figure that leaves with a model is noisy, charged first, and charged once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError
from lexveil.pipeline.models.card import CARD_FOR_PEOPLE, read_card, record_audit
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages import release
from lexveil.pipeline.stages.release import release_score
from lexveil.pipeline.training import released
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Ledger
from tests.conftest import Finished
from tests.flows.command_line import call
from tests.pipeline.models.test_card import AUDIT


def charges(workspace: Workspace) -> list[tuple[str, float]]:
    ledger, population = open_ledger(workspace)
    try:
        assert ledger.verify().ok
        runs = ledger.reservations(population)
        return [(run.state, round(run.charge.epsilon(1e-5), 2)) for run in runs]
    finally:
        ledger.close()


@pytest.fixture
def workspace(finished: Finished) -> Workspace:
    return finished.workspace.with_settings(finished.settings)


def test_a_score_is_charged_once_and_stands_on_the_card(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    before = charges(workspace)
    (tmp_path / "lexveil.toml").write_text("[ingest]\nowner_field = 'owner'\n[train]\nheld_out = 0.3\n")
    monkeypatch.chdir(tmp_path)
    command = ("evaluate", "--model", "linear", "--release", "0.5", "-w", workspace.root, "--json")
    found = call(capsys, *command).json
    assert charges(workspace) == [*before, ("committed", 0.5)]
    assert 0 <= found["score"] <= 1
    assert found["noise"] > 0
    (saved,) = list_models(workspace)
    assert read_card(saved.folder)["released"] == found
    assert "## Released score" in (saved.folder / CARD_FOR_PEOPLE).read_text()
    record_audit(saved.folder, AUDIT)
    assert call(capsys, *command).json == found
    assert charges(workspace) == [*before, ("committed", 0.5)]
    text = (saved.folder / CARD_FOR_PEOPLE).read_text()
    assert text.count("## Released score") == text.count("## Audit") == 1
    assert workspace.log.read()[-1].action == "release-score"
    assert call(capsys, *command[:4], "1", *command[5:]).json != found
    assert charges(workspace)[-1] == ("committed", 1.0)


def test_a_release_that_was_killed_has_the_same_noise(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(released, "write_json", kill)
        with pytest.raises(KilledError):
            release_score(workspace, "linear", 0.5)
    before = charges(workspace)
    assert before[-1] == ("open", 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", kill)
        with pytest.raises(KilledError):
            release_score(workspace, "linear", 0.5)
    first = read_card(list_models(workspace)[0].folder)["released"]
    assert release_score(workspace, "linear", 0.5) == first
    assert charges(workspace) == [*before[:-1], ("committed", 0.5)]


def test_the_limit_holds_before_anything_is_measured(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "score_owners", lambda *_: pytest.fail("measured"))
    before = charges(workspace)
    with pytest.raises(BudgetRefusedError):
        release_score(workspace, "linear", 50.0)
    assert charges(workspace) == before
    assert "released" not in read_card(list_models(workspace)[0].folder)


def test_a_delta_that_publishes_an_owner_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before a training: it used to be charged."""
    monkeypatch.setattr(release, "score_owners", lambda *_: pytest.fail("measured"))
    before = charges(workspace)
    train = workspace.settings.train.model_copy(update={"delta": 0.5})
    careless = workspace.with_settings(workspace.settings.model_copy(update={"train": train}))
    with pytest.raises(
        TrainingRefusedError, match=r"train\.delta is 0\.5, which allows a run to publish one"
    ):
        release_score(careless, "linear", 0.5)
    assert charges(workspace) == before


def test_one_owner_moves_the_sum_by_at_most_one_and_the_noise_is_as_charged(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of others do not move, whatever an owner brings; the noise is that of the Gaussian."""
    from lexveil.pipeline.training.owner_scores import plan_score_release

    owners = 1000
    monkeypatch.setattr(release, "score_owners", lambda *_: np.full(owners, 0.5))
    settings = workspace.settings.model_copy(update={"ledger": _roomy(workspace.settings)})
    workspace = workspace.with_settings(settings)
    found = [release_score(workspace, "linear", 0.4 + number / 1e6) for number in range(40)]
    noise = plan_score_release(settings.train.model_copy(update={"epsilon": 0.4})).noise_multiplier / owners
    assert found[0]["noise"] == pytest.approx(noise, rel=1e-3)
    spread = np.std([one["score"] - 0.5 for one in found])
    assert 0.6 * noise < spread < 1.5 * noise  # 40 draws: outside by chance once in ten thousand
    assert json.dumps(found[0])


def _roomy(settings: Settings) -> Any:
    return settings.ledger.model_copy(update={"population": "roomy", "limit_epsilon": 1e4})
