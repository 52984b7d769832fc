"""Offices that can contribute little: each releases a charged score, from which its weight follows.

The score says how often the public start of a model, trained by nobody, agrees with an office's labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lexveil.nlp.encoders.config import takes_tokens
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.errors import AgreementError, SettingsError
from lexveil.pipeline.logs import log
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Split
from lexveil.pipeline.training.fit import build_model_config
from lexveil.pipeline.training.owner_scores import plan_score_release, score_owners
from lexveil.pipeline.training.released import describe_documents, release_once
from lexveil.pipeline.workspace.storage import read_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.randomness import SecureRandom

LEVELS = 20
_LABEL = "office-score"
# An office counts in full from this share of the best score on: kinds of documents differ in how well the
# names of their classes describe them.
_FULL_FROM = 0.7
_MOST_SPREAD = 0.1


class OfficeScore(BaseModel):
    """What an office has released of how well its labels fit.

    Attributes:
        level: its score, in twentieths.
        epsilon: what its ledger was charged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    level: Annotated[int, Field(ge=0, le=LEVELS)]
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def weigh(scores: Sequence[OfficeScore | None]) -> tuple[float, ...]:
    """Return what each office's owners count in the sum, in [0, 1]. Without scores, all count in full.

    Weights follow from what was released, so they cost nothing more.
    """
    levels = [LEVELS if score is None else score.level for score in scores]
    best = max(levels)
    if best == 0:
        return (1.0,) * len(levels)
    return tuple(min(1.0, level / (_FULL_FROM * best)) for level in levels)


def release_level(workspace: Workspace, split: Split, epsilon: float) -> OfficeScore:
    """Release how often the start of a model agrees with this office's labels.

    The ledger is charged before anything is measured, and once: the same documents, classes and epsilon have
    the same score.

    Args:
        workspace: the workspace of this office.
        split: its documents.
        epsilon: epsilon of the release.

    Raises:
        SettingsError: such a model does not start from the names of its classes.
        BudgetRefusedError: the ledger refuses the charge.

    Formal guarantee:
        (epsilon, delta)-DP under adding or removing one owner with all of its items. The score of an owner
        is the share of its documents that the public model classifies as labeled, so one more owner moves
        the sum of scores by at most 1, and the sum has Gaussian noise. Its quotient by the number of owners,
        which counts as public, and the rounding to a level are post-processing.
    """
    if split.objective != "classify":
        raise SettingsError("a score needs classes that exclude each other: their names are the start")
    train = workspace.settings.train.model_copy(update={"epsilon": epsilon})
    plan, model = plan_score_release(train), _start(split, train)
    about = ["office-score", epsilon, train.delta, asdict(model.config), describe_documents(split.train)]
    digest = compute_digest(about)

    def measure(random: SecureRandom) -> dict[str, int | float]:
        return {"level": choose_level(split, train, random), "epsilon": epsilon}

    spread = plan.noise_multiplier / split.n_owners
    if spread > _MOST_SPREAD:
        log.warning(
            "the noise of a score of %d owners has a standard deviation of %.2f: such a weight says little",
            split.n_owners, spread,
        )  # fmt: skip
    path = workspace.protected / "joint" / "scores" / f"{digest}.json"
    with release_once(workspace, split, path, digest, plan, "score-of-this-office", measure) as released:
        return _read_score(released)


def choose_level(split: Split, train: TrainSettings, random: SecureRandom) -> int:
    """Return an office's noisy level (`release_level`), with epsilon and delta of the settings."""
    scores = score_owners(_start(split, train), split, split.train)
    noise = plan_score_release(train).noise_multiplier * float(random.normal(_LABEL, 0, 1)[0])
    return round(min(1.0, max(0.0, (math.fsum(scores) + noise) / len(scores))) * LEVELS)


def _start(split: Split, train: TrainSettings) -> FeatureModel:
    if not takes_tokens(train.model):  # all of them read the embedding, and this one starts from names
        train = train.model_copy(update={"model": "linear"})
    encoder = load_encoder(train)
    model = build_model(build_model_config(train, split), encoder)
    start_from_labels(model, encoder)
    return model.eval()


def check_released(workspace: Workspace, score: OfficeScore | None) -> None:
    """Refuse a score that this office has not released.

    Raises:
        AgreementError: it has not.
    """
    folder = workspace.protected / "joint" / "scores"
    kept = [read_json(path) for path in folder.glob("*.json")]
    if score is not None and score not in [_read_score(one["released"]) for one in kept if one is not None]:
        raise AgreementError("the agreement has a score of this office that it has not released")


def _read_score(released: dict[str, object]) -> OfficeScore:
    return OfficeScore.model_validate({name: released[name] for name in OfficeScore.model_fields})
