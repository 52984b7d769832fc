"""Identity of trained models: digests of their recipe and documents, and the models that have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lexveil.nlp.encoders.config import DEFAULT_CHUNK_ENDS, takes_tokens
from lexveil.nlp.encoders.storage import ModelLoadError, read_config
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.saved import (
    SavedModel,
    find_model_by_recipe,
    list_models,
    translate_load_error,
)
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.training.classes import list_public_classes, rename_classes, resolve_objective
from lexveil.pipeline.training.data import Split
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

# Settings that change how a model is trained, but not which model it is.
_NOT_RECIPE = {"diagnostics", "device", "micro_batch", "checkpoint_seconds"}


def compute_recipe_digest(settings: Settings) -> str:
    """Return the digest of the settings that decide how a model is trained, whatever the documents."""
    return compute_digest([describe_recipe(settings.train, _NOT_RECIPE), settings.ledger.population])


def describe_recipe(train: TrainSettings, exclude: Collection[str]) -> dict[str, Any]:
    """Return the settings as digests of recipes cover them, without those to exclude.

    Settings that did not exist in earlier versions are left out where they say what was always done, so that
    models and searches of earlier versions are found.
    """
    without = {"labels", "other_labels"} if train.labels is None else set[str]()
    if train.chunk_ends == DEFAULT_CHUNK_ENDS:
        without.add("chunk_ends")
    described = train.model_dump(mode="json", exclude={*exclude, *without, "representation"})
    described["precision"] = train.chosen_precision
    if train.chosen_representation == "embedding" or takes_tokens(train.model):
        return described
    return {**described, "representation": train.chosen_representation}


def compute_documents_digest(workspace: Workspace, decisions: Mapping[str, str]) -> str:
    """Return the digest of the documents to train on, and of how they are masked.

    Ids are keyed digests of content, so the digest covers the texts. It does not cover code: a model remains
    the model of its documents when a new version of Lexveil masks or encodes them differently.

    Args:
        workspace: the workspace.
        decisions: doc_id -> digest of the reviewers' decisions.
    """
    rows = workspace.catalogue.read().select(["doc_id", "owner", "label", "split"]).to_pylist()
    documents = sorted([row["doc_id"], row["owner"], row["label"] or "", row["split"] or ""] for row in rows)
    return compute_digest(
        [documents, workspace.settings.mask.model_dump(mode="json"), sorted(decisions.items())]
    )


def record_training(workspace: Workspace, name: str, digest: str, unprotected_zeros: int) -> None:
    """Store what only insiders may know of a training.

    Args:
        workspace: the workspace.
        name: name of the model.
        digest: digest of the documents that it is trained on.
        unprotected_zeros: number of gradients that were not finite and counted as zero.
    """
    path = _documents_file(workspace, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, {"documents": digest, "unprotected_zeros": unprotected_zeros})


def find_current_model(workspace: Workspace) -> SavedModel | None:
    """Return the model that a run with these settings uses without training, or None.

    It is the newest model of the recipe, if it knows all labels of the documents.

    Raises:
        TrainingRefusedError: the model cannot be read.
    """
    model = find_model_by_recipe(workspace, compute_recipe_digest(workspace.settings))
    if model is None:
        return None
    written = set(workspace.catalogue.read(columns=["label"]).column("label").to_pylist())
    try:
        config = read_config(model.folder)
    except ModelLoadError as error:
        raise translate_load_error(error) from None
    if config.objective != resolve_objective(workspace.settings.train, written):
        return None
    if config.objective == "denoise" or list_public_classes(workspace.settings.train) is not None:
        return model
    labels = {name for label in written for name in parse_classes(label)}
    renamed = rename_classes(workspace, written, config.labels)
    return model if labels <= {*config.labels, *renamed} else None


def find_trained_model(workspace: Workspace, split: Split, documents: str) -> SavedModel | None:
    """Return the newest model of this recipe that was trained on these documents, or None.

    A version of Lexveil that stored no digest of the documents left models without one. Such a model matches
    if it has as many owners and labels.

    Args:
        workspace: the workspace.
        split: the documents.
        documents: their digest, as `compute_documents_digest` returns it.
    """
    recipe = compute_recipe_digest(workspace.settings)
    for model in reversed(list_models(workspace)):
        if model.recipe != recipe:
            continue
        recorded = read_json(_documents_file(workspace, model.name))
        if recorded is None:
            card = read_card(model.folder)
            matches = (card["owners"], card["labels"]) == (split.n_owners, len(split.labels))
        else:
            matches = recorded["documents"] == documents
        if matches:
            return model
    return None


def _documents_file(workspace: Workspace, name: str) -> Path:
    # Not on the card, which leaves the office: without noise, such a digest would confirm that a document was
    # there.
    return workspace.protected / "models" / f"{name}.json"
