"""The saved models of a workspace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.nlp.encoders.config import Kind
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import CARD, CARD_FOR_PEOPLE, ModelCard, read_card
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.files import sync_folder

if TYPE_CHECKING:
    from lexveil.nlp.encoders.models import FeatureModel
    from lexveil.nlp.encoders.storage import ModelLoadError

ERASURES = "erasures.json"  # in the folder of a model that was trained on what was erased later
MASKING = "masking.json"  # how the texts of the training were masked; models of earlier versions lack it
_REFUSALS = {
    "missing": "a file of its folder is missing",
    "schema_version": "another version of Lexveil wrote it",
    "config": "its config.json is broken",
    "encoder_digest": "it was trained over another public encoder",
    "precision": "it was trained on embeddings of another precision (setting train.precision)",
    "weights": "its weights are broken, or do not fit its configuration",
}


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A saved model of a workspace.

    Attributes:
        name: name of the model.
        kind: kind of the model.
        folder: folder of the model.
        digest: id of the training run in the ledger; no two models share it.
        statement: the guarantee in one line.
        recipe: digest of the settings that the model was trained with.
    """

    name: str
    kind: Kind
    folder: Path
    digest: str
    statement: str
    recipe: str


def save_model(
    workspace: Workspace, model: FeatureModel, card: ModelCard, masking: Mapping[str, Any]
) -> SavedModel:
    """Save a trained model with its card. The folder appears complete or not at all.

    Args:
        workspace: the workspace.
        model: the model.
        card: its card.
        masking: how the texts that it was trained on were masked.
    """
    folder = workspace.models / card.name
    made = folder if workspace.remote else workspace.models / f".{card.name}.partial"
    if not workspace.remote:
        shutil.rmtree(made, ignore_errors=True)
    # Imported here: ingest and masking list the models, and need no torch.
    from lexveil.nlp.encoders.storage import save_model as save_weights

    save_weights(model, made)
    (made / "labels.json").write_text(json.dumps(list(model.config.labels), ensure_ascii=False, indent=1))
    write_json(made / MASKING, masking)
    (made / CARD_FOR_PEOPLE).write_text(card.to_markdown(), encoding="utf-8")
    # Last: an object store cannot rename a folder, and a folder without a card is not a model.
    write_json(made / CARD, {**asdict(card), "statement": card.statement})
    if not workspace.remote:
        for path in (
            *made.iterdir(),
            made,
        ):  # a power failure must not leave the folder without weights
            sync_folder(path)
        made.replace(folder)
        sync_folder(workspace.models)
    return _describe(folder, read_card(folder))


def list_models(workspace: Workspace) -> list[SavedModel]:
    """List the models of a workspace, oldest first."""
    folders = [folder for folder in workspace.models.glob("*") if (folder / CARD).is_file()]
    cards = [(read_card(folder), folder) for folder in folders if not folder.name.startswith(".")]
    return [_describe(folder, card) for card, folder in sorted(cards, key=lambda pair: pair[0]["created"])]


def translate_load_error(error: ModelLoadError) -> TrainingRefusedError:
    """Return the error, with a message for people, for a model folder that cannot be used."""
    reason = _REFUSALS.get(error.code, error.code)
    return TrainingRefusedError(
        f"the model cannot be used: {reason}; train it again, or put the right folder back"
    )


def find_model(workspace: Workspace, name: str) -> SavedModel:
    """Return the model of a name, or the newest model of a kind.

    Args:
        workspace: the workspace.
        name: name of a model, or a kind of models.

    Raises:
        TrainingRefusedError: there is no such model.
    """
    known = list_models(workspace)
    found = [model for model in known if name in (model.name, model.kind)]
    if not found:
        raise TrainingRefusedError(f"this workspace has no model {name!r}; train one with `lexveil train`")
    return found[-1]


def is_marked_by_erasure(folder: Path) -> bool:
    """Return True if a document that the model may have been trained on was erased."""
    return (folder / ERASURES).exists()


def find_model_by_recipe(workspace: Workspace, recipe: str) -> SavedModel | None:
    """Return the newest model that was trained with a recipe, on any documents, or None."""
    found = [model for model in list_models(workspace) if model.recipe == recipe]
    return found[-1] if found else None


def _describe(folder: Path, card: dict[str, Any]) -> SavedModel:
    digest = card["reservation"]
    return SavedModel(card["name"], card["kind"], folder, digest, card["statement"], card["recipe"])
