"""Release: a noisy figure of how useful a model is, charged to the ledger, that may leave with the model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import read_card, record_score
from lexveil.pipeline.models.encoding import get_encoding, restore_encoding
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel, find_model
from lexveil.pipeline.records import ForEach, run_one_by_one
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.data import Split, load_split
from lexveil.pipeline.training.owner_scores import plan_score_release, score_owners
from lexveil.pipeline.training.released import describe_documents, release_once
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.randomness import SecureRandom

_NOISE = "released-score"
_DIGITS = 4


def release_score(
    workspace: Workspace, name: str, epsilon: float, each: ForEach = run_one_by_one
) -> dict[str, Any]:
    """Release the mean score of the held-out owners with noise, and write it on the model's card.

    The score of an owner is the share of its documents that the model classifies correctly. The ledger is
    charged before anything is measured. The same model, documents and epsilon are charged once: a release
    that was killed ends with the same figure, and one that was made is returned again.

    Args:
        workspace: the workspace.
        name: name or kind of the model.
        epsilon: epsilon of the release.
        each: runs the shards of the encoding.

    Returns:
        What stands on the card: `score` in [0, 1], `noise` (its standard deviation), `owners` (the number of
        held-out owners), `epsilon`, `delta`, `population`, `reservation` and `date`.

    Raises:
        TrainingRefusedError: there is no such model, it learned no classes, no labeled document is held out,
            the randomness would be known, or a delta is too large for the number of owners.
        BudgetRefusedError: the ledger's limit would be exceeded.

    Formal guarantee:
        One more held-out owner changes the sum of the owners' scores, each in [0, 1], by at most 1. With
        Gaussian noise of standard deviation noise_multiplier it is (epsilon, delta)-DP, and a charge like any
        other of the population. The quotient by the number of held-out owners, which counts as public, the
        cut to [0, 1] and the rounding are post-processing. Assumptions: the model was not trained on these
        owners, or its training was charged to the same population; the settings hold out the same owners as
        in the training.
    """
    saved = find_model(workspace, name)
    model = open_model(saved.folder, workspace.settings)
    if model.config.objective == "denoise":
        raise TrainingRefusedError("this model learned no classes, so there is no score to release")
    settings = restore_encoding(workspace.settings, model.config)
    update = {"model": saved.kind, "objective": model.config.objective, "epsilon": epsilon}
    settings = settings.model_copy(update={"train": settings.train.model_copy(update=update)})
    if settings.train.seed is not None:
        raise TrainingRefusedError("with a known train.seed the noise protects nobody: remove the setting")
    workspace = workspace.with_settings(settings)
    encode(workspace, get_encoding(saved.kind), each)
    split = load_split(workspace, known=model.config.labels)
    labeled = tuple(row for row in split.held_out if row.label is not None)
    if not labeled:
        raise TrainingRefusedError("a score needs held-out documents with labels; raise train.held_out")
    split = replace(split, held_out=labeled, labels=model.config.labels)
    # Stays inside: without noise, it would confirm a guess of the documents.
    digest = _describe_release(saved, split, epsilon, settings.train.delta)
    plan = plan_score_release(settings.train)

    def measure(random: SecureRandom) -> dict[str, Any]:
        scores = score_owners(model, split, labeled)
        noise = plan.noise_multiplier * float(random.normal(_NOISE, 0, 1)[0])
        score = round(min(1.0, max(0.0, (math.fsum(scores) + noise) / len(scores))), _DIGITS)
        return {"score": score, "noise": plan.noise_multiplier / len(scores), "owners": len(scores)}

    path = workspace.protected / "models" / f"{saved.name}.release.json"
    name = f"release-{saved.name}"
    with release_once(workspace, split, path, digest, plan, name, measure) as released:
        if read_card(saved.folder).get("released") != released:
            record_score(saved.folder, released)
        return released


def _describe_release(saved: SavedModel, split: Split, epsilon: float, delta: float) -> str:
    return compute_digest(["release", saved.digest, epsilon, delta, describe_documents(split.held_out)])
