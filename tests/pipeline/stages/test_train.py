"""Train: every kind of model by both objectives; charged once, refused in time, nothing trained twice."""

from __future__ import annotations

import json
import shutil
from math import isnan
from typing import Any

import pytest

from lexveil.nlp.encoders.storage import load_model
from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError, WorkspaceError
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.models.saved import find_model, list_models
from lexveil.pipeline.records import Progress
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.identity import find_current_model
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Ledger


def settings(**more: Any) -> Settings:
    base = {"steps": 3, "held_out": 0.0, **more}
    return Settings.model_validate({"ingest": {"owner_field": "owner"}, "train": base})


def runs(workspace: Workspace, chosen: Settings) -> list[tuple[str, int | None]]:
    ledger, population = open_ledger(workspace.with_settings(chosen))
    try:
        assert ledger.verify().ok
        return [(found.state, found.charged_steps) for found in ledger.reservations(population)]
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def encoded_once(masked_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Encoded for every kind, since the encoder is the slow part."""
    root = tmp_path_factory.mktemp("encoded") / "workspace"
    shutil.copytree(masked_once.root, root)
    workspace = Workspace.open(root)
    for want in ("embedding", "tokens"):
        encode(workspace.with_settings(settings()), want)
    return workspace


@pytest.fixture
def workspace(encoded_once: Workspace, tmp_path: Any) -> Workspace:
    shutil.copytree(encoded_once.root, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


@pytest.mark.parametrize("kind", ["linear", "mlp", "lstm", "square", "cubic"])
@pytest.mark.parametrize("objective", ["classify", "denoise"])
def test_every_kind_by_every_objective(workspace: Workspace, kind: str, objective: str) -> None:
    chosen = settings(model=kind, objective=objective)
    trained = train(workspace.with_settings(chosen))
    card = read_card(trained.saved.folder)
    assert trained.new
    assert len(trained.unprotected_losses) == 3
    assert all(loss > 0 or isnan(loss) for loss in trained.unprotected_losses)  # a draw may be empty
    assert (card["kind"], card["objective"], card["steps"], card["unit"]) == (kind, objective, 3, "owner")
    assert 7.9 < card["epsilon"] <= 8
    assert card["delta"] == 1e-5
    assert card["max_grad_norm"] > 0
    assert card["noise_multiplier"] > 0
    assert runs(workspace, chosen) == [("committed", 3)]
    manifest = extract(workspace.with_settings(chosen), trained.saved.name)
    assert (manifest.rows, manifest.done_now) == (12, 2)


def test_what_lies_in_the_models_folder(workspace: Workspace) -> None:
    saved = train(workspace.with_settings(settings())).saved
    names = {path.name for path in saved.folder.iterdir()}
    assert names == {
        "model.safetensors", "config.json", "labels.json", "masking.json", "card.json", "MODEL_CARD.md",
    }  # fmt: skip
    model = load_model(saved.folder, load_encoder(workspace.with_settings(settings()).settings.train))
    assert json.loads((saved.folder / "labels.json").read_text()) == list(model.config.labels)
    card = (saved.folder / "MODEL_CARD.md").read_text()
    for word in ("epsilon", "delta", "unit", "neighbors", "steps", "noise multiplier", "Not covered"):
        assert word in card
    assert "Features themselves are not differentially private" in saved.statement
    assert not list(workspace.models.glob(".*"))


def test_a_known_seed_voids_the_guarantee_and_says_so(workspace: Workspace) -> None:
    saved = train(workspace.with_settings(settings(seed=1))).saved
    assert saved.statement.startswith("NOT PRIVATE")
    assert "NOT PRIVATE" in (saved.folder / "MODEL_CARD.md").read_text()


def test_the_same_again_trains_and_charges_nothing(workspace: Workspace) -> None:
    first, again = (train(workspace.with_settings(settings())) for _ in range(2))
    assert (first.new, again.new, again.saved) == (True, False, first.saved)
    assert runs(workspace, settings()) == [("committed", 3)]
    assert find_current_model(workspace.with_settings(settings())) == first.saved
    assert find_current_model(workspace.with_settings(settings(model="mlp"))) is None


class Killed(BaseException):
    pass


def listen(heard: list[tuple[str, int, int]]) -> Progress:
    def note(stage: str, done: int, total: int, documents: int = 0) -> None:
        heard.append((stage, done, total))

    return note


@pytest.mark.parametrize("kind", ["linear", "lstm"])
@pytest.mark.parametrize("step", [0, 2])
def test_a_killed_run_ends_in_the_same_model_and_is_charged_once(
    workspace: Workspace, tmp_path: Any, step: int, kind: str
) -> None:
    """From its checkpoint, from the start where the checkpoint is gone, and where it is torn."""
    chosen = settings(model=kind, checkpoint_seconds=0)

    def kill(stage: str, done: int, total: int, documents: int = 0) -> None:
        if done > step:
            raise Killed

    with pytest.raises(Killed):
        train(workspace.with_settings(chosen), progress=kill)
    assert list_models(workspace) == []
    assert len(list(workspace.training.glob("*"))) == (step > 0)
    gone, torn = (shutil.copytree(workspace.root, tmp_path / name) for name in ("gone", "torn"))
    shutil.rmtree(gone / "protected" / "training", ignore_errors=True)
    for path in (torn / "protected" / "training").glob("*"):
        path.write_bytes(path.read_bytes()[:-100])
    weights: list[bytes] = []
    made: list[list[tuple[str, int, int]]] = []
    for one in (workspace, Workspace.open(gone), Workspace.open(torn)):
        heard: list[tuple[str, int, int]] = []
        trained = train(one.with_settings(chosen), progress=listen(heard))
        assert trained.new
        assert len(trained.unprotected_losses) == 3
        assert runs(one, chosen) == [("committed", 3)]
        assert list(one.training.glob("*")) == []
        weights.append((trained.saved.folder / "model.safetensors").read_bytes())
        made.append(heard)
    assert weights[0] == weights[1] == weights[2]
    all_steps = [("train", done, 3) for done in (1, 2, 3)]
    assert made == [all_steps[step:], all_steps, all_steps]


def test_a_checkpoint_stays_with_its_open_run_and_leaves_with_it(workspace: Workspace) -> None:
    chosen = settings(epsilon=1, checkpoint_seconds=0)

    def kill(stage: str, done: int, total: int, documents: int = 0) -> None:
        if done > 1:
            raise Killed

    with pytest.raises(Killed):
        train(workspace.with_settings(chosen), progress=kill)
    (kept,) = workspace.training.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    # Another recipe's run neither uses nor removes it.
    assert train(workspace.with_settings(settings(epsilon=2))).new
    assert list(workspace.training.iterdir()) == [kept]
    ledger, _ = open_ledger(workspace.with_settings(chosen))
    ledger.abandon(kept.name.split(".")[0])
    ledger.close()
    train(workspace.with_settings(settings(epsilon=2)))
    assert list(workspace.training.iterdir()) == []


def test_killed_between_saving_and_committing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", kill)
        with pytest.raises(Killed):
            train(workspace.with_settings(settings()))
    assert runs(workspace, settings())[0][0] == "open"
    assert not train(workspace.with_settings(settings())).new
    assert runs(workspace, settings()) == [("committed", 3)]


def test_a_lost_model_is_charged_anew(workspace: Workspace) -> None:
    shutil.rmtree(train(workspace.with_settings(settings(epsilon=2))).saved.folder)
    assert train(workspace.with_settings(settings(epsilon=2))).new
    assert runs(workspace, settings()) == [("committed", 3)] * 2


def test_the_ledger_refuses_what_would_pass_the_limit(workspace: Workspace) -> None:
    train(workspace.with_settings(settings()))
    before = runs(workspace, settings())
    with pytest.raises(BudgetRefusedError, match="--epsilon") as caught:
        train(workspace.with_settings(settings(model="mlp")))
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert runs(workspace, settings()) == before
    assert len(list_models(workspace)) == 1


def test_a_delta_above_one_over_the_owners_is_refused_before_the_charge(workspace: Workspace) -> None:
    ledger, population = open_ledger(workspace.with_settings(settings()))
    ledger.set_limit(population, 20.0, 0.3)
    ledger.close()
    with pytest.raises(TrainingRefusedError, match="publish one of"):
        train(workspace.with_settings(settings()))
    assert runs(workspace, settings()) == []


def test_another_population_has_a_limit_of_its_own(workspace: Workspace) -> None:
    train(workspace.with_settings(settings()))
    other = settings(model="mlp").model_copy(
        update={"ledger": settings().ledger.model_copy(update={"population": "second"})}
    )
    assert train(workspace.with_settings(other)).new
    assert [len(runs(workspace, chosen)) for chosen in (settings(), other)] == [1, 1]


def test_models_are_found_by_name_or_kind(workspace: Workspace) -> None:
    first = train(workspace.with_settings(settings(epsilon=1))).saved
    assert find_model(workspace, first.name) == find_model(workspace, "linear") == first
    with pytest.raises(TrainingRefusedError, match="lexveil train"):
        find_model(workspace, "lstm")


def test_documents_that_cannot_train(workspace: Workspace) -> None:
    apart = Settings.model_validate({"train": {"steps": 3, "held_out": 0.999999}})
    with pytest.raises(TrainingRefusedError):
        train(workspace.with_settings(apart))
    assert not list_models(workspace)


def test_an_encoder_that_is_none(masked: Workspace, tmp_path: Any) -> None:
    with pytest.raises(TrainingRefusedError, match="encoder"):
        train(masked.with_settings(settings(encoder=str(tmp_path))))


def test_nothing_masked(tmp_path: Any) -> None:
    with pytest.raises(WorkspaceError, match="lexveil mask"):
        train(Workspace.create_or_open(tmp_path).with_settings(settings()))
