"""The saved models of a workspace, and the card that says what each protects."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lexveil.nlp.encoders.config import Kind
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.storage import ModelLoadError
from lexveil.nlp.encoders.storage import save_model as save_weights
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import CARD, CARD_FOR_PEOPLE, ModelCard, read_card
from lexveil.pipeline.workspace.storage import sync_folder, write_json
from lexveil.pipeline.workspace.workspace import Workspace

_REFUSALS = {
    "missing": "a file of its folder is missing",
    "schema_version": "another version of Lexveil wrote it",
    "config": "its config.json is broken",
    "encoder_digest": "it was trained over another public encoder",
    "precision": "it was trained on embeddings of another precision (setting train.precision)",
    "weights": "its weights are broken, or don't fit its configuration",
}


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model of the workspace. `digest` names its weights."""

    name: str
    kind: Kind
    folder: Path
    digest: str
    statement: str
    recipe: str


def save_model(workspace: Workspace, model: FeatureModel, card: ModelCard) -> SavedModel:
    """Save a trained model with its card; the folder appears whole or not at all."""
    folder = workspace.models / card.name
    made = folder if workspace.remote else workspace.models / f".{card.name}.partial"
    if not workspace.remote:
        shutil.rmtree(made, ignore_errors=True)
    save_weights(model, made)
    (made / "labels.json").write_text(json.dumps(list(model.config.labels), ensure_ascii=False, indent=1))
    (made / CARD_FOR_PEOPLE).write_text(card.markdown(), encoding="utf-8")
    # Last: an object store can't rename a folder, and without its card a model isn't one.
    write_json(made / CARD, {**asdict(card), "statement": card.statement})
    if not workspace.remote:
        for path in (*made.iterdir(), made):  # or a power cut could leave the name and not the weights
            sync_folder(path)
        made.replace(folder)
        sync_folder(workspace.models)
    return _saved(folder, read_card(folder))


def models(workspace: Workspace) -> list[SavedModel]:
    """The workspace's models, oldest first."""
    folders = [folder for folder in workspace.models.glob("*") if (folder / CARD).is_file()]
    cards = [(read_card(folder), folder) for folder in folders if not folder.name.startswith(".")]
    return [_saved(folder, card) for card, folder in sorted(cards, key=lambda pair: pair[0]["created"])]


def refusal(error: ModelLoadError) -> TrainingRefusedError:
    """Why a model's folder can't be used, for people."""
    reason = _REFUSALS.get(error.code, error.code)
    return TrainingRefusedError(
        f"the model can't be used: {reason}; train it again, or put the right folder back"
    )


def find_model(workspace: Workspace, name: str) -> SavedModel:
    """The model of that name, else the newest of that kind.

    Raises:
        TrainingRefusedError: there is none.
    """
    known = models(workspace)
    found = [model for model in known if name in (model.name, model.kind)]
    if not found:
        raise TrainingRefusedError(f"this workspace has no model {name!r}; train one with `lexveil train`")
    return found[-1]


def find_recipe(workspace: Workspace, recipe: str) -> SavedModel | None:
    """The newest model that was trained with this recipe, on whatever documents."""
    found = [model for model in models(workspace) if model.recipe == recipe]
    return found[-1] if found else None


def _saved(folder: Path, card: dict[str, Any]) -> SavedModel:
    digest = card["reservation"]
    return SavedModel(card["name"], card["kind"], folder, digest, card["statement"], card["recipe"])
