"""Privacy attacks on a trained model: membership inference and exposure. Results must stay inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import ModelConfig, takes_tokens
from lexveil.nlp.encoders.documents import extract
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.records import Progress
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split, build_target, group_by_owner
from lexveil.pipeline.training.fit import fit
from lexveil.pipeline.training.objectives import build_objective
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.privacy.dp.audit.attacks import (
    FEWEST,
    Exposure,
    Membership,
    measure_exposure,
    measure_membership,
)
from lexveil.privacy.dp.audit.gate import ALPHA
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.randomness import SecureRandom

Floats = NDArray[np.float64]

_CONFIDENCE = 0.95
_PAIRS = 2


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """Results of the attacks on a model, and on the same model trained without privacy. Unprotected.

    Attributes:
        membership: membership inference on the model; None: there are too few owners.
        membership_without_privacy: the same on the model without privacy.
        exposure: exposure of the owners by the model.
        exposure_without_privacy: the same by the model without privacy.
        references: number of models trained without privacy on halves of the owners, which measure how hard
            each owner is; 0: the attack uses the loss alone.
        refuted_epsilon: lower bound of epsilon by `membership`, at the level of the gate.
    """

    membership: Membership | None
    membership_without_privacy: Membership | None
    exposure: Exposure | None
    exposure_without_privacy: Exposure | None
    references: int
    refuted_epsilon: float = 0.0


def attack_model(
    model: FeatureModel, train: TrainSettings, card: Mapping[str, Any], split: Split, progress: Progress
) -> AttackOutcome:
    """Attack a saved model, and a twin trained without privacy, by membership inference and exposure.

    The score of an owner is the mean, over the documents, of log(p / (1 - p)), where -log p is the loss
    (Carlini et al. 2022, "Membership Inference Attacks From First Principles", section IV-C). For models on
    embeddings, which train quickly, the mean score of an owner under models trained without this owner is
    subtracted: the offline attack of that paper, with four references and without the division by the
    spread, which two values do not give. For other models the attack uses the loss alone (Yeom et al. 2018,
    "Privacy Risk in Machine Learning", adversary 2).

    Args:
        model: the saved model.
        train: settings of the training, with the numbers on the card.
        card: card of the model.
        split: the documents as the model was trained on them.
        progress: listener for the models trained and attacked.
    """
    split = _select_usable(split, model.config)
    inside = {row.owner for row in split.train}
    owners = sorted({row.owner for row in (*split.train, *split.held_out)})
    if min(len(inside), len(owners) - len(inside)) < FEWEST:
        return AttackOutcome(None, None, None, None, 0)
    plan = plan_without_privacy(plan_training(train, split), model.config.kind)
    learn = partial(_train_without_privacy, model.config, train, plan)
    pairs = 0 if takes_tokens(model.config.kind) else _PAIRS
    total = 2 + 2 * pairs
    progress("attacks", 0, total)
    rng = np.random.default_rng()
    hardness = np.zeros(len(owners))
    for pair in range(pairs):
        first = rng.permutation(len(owners)) < len(owners) // 2
        for number, half in enumerate((first, ~first)):
            reference = learn(
                _select_owners(split, [o for o, chosen in zip(owners, half, strict=True) if chosen])
            )
            hardness[~half] += _score_owners(reference, split, owners)[~half] / pairs
            progress("attacks", 2 * pair + number + 1, total)
    scores = [_score_owners(model, split, owners) - hardness]
    progress("attacks", total - 1, total)
    scores.append(_score_owners(learn(split), split, owners) - hardness)
    progress("attacks", total, total)
    member = np.array([owner in inside for owner in owners])
    gate = measure_membership(scores[0][member], scores[0][~member], card["delta"], 1 - ALPHA, rng)
    rates = [measure_membership(s[member], s[~member], card["delta"], _CONFIDENCE, rng) for s in scores]
    bits = [measure_exposure(s[member], s[~member]) for s in scores]
    refuted = 0.0 if gate is None else gate.epsilon_lower_bound
    return AttackOutcome(rates[0], rates[1], bits[0], bits[1], 2 * pairs, refuted)


def _select_usable(split: Split, config: ModelConfig) -> Split:
    """Select the documents that the model has a loss for."""

    def is_usable(row: Row) -> bool:
        if config.objective == "denoise":
            return row.encoded.topics is not None and bool(row.encoded.topics.any())
        return row.label is not None and set(parse_classes(row.label)) <= set(config.labels)

    return replace(
        split,
        train=tuple(row for row in split.train if is_usable(row)),
        held_out=tuple(row for row in split.held_out if is_usable(row)),
        objective=config.objective,
        labels=config.labels,
    )


def _select_owners(split: Split, owners: Sequence[str]) -> Split:
    """Return a split that trains on these owners, held out or not."""
    chosen = set(owners)
    rows = tuple(row for row in (*split.train, *split.held_out) if row.owner in chosen)
    return replace(split, train=rows, held_out=())


def _train_without_privacy(
    config: ModelConfig, train: TrainSettings, plan: TrainingPlan, split: Split
) -> FeatureModel:
    return fit(config, group_by_owner(split, train), train, plan, SecureRandom(), private=False)[0]


def _score_owners(model: FeatureModel, split: Split, owners: Sequence[str]) -> Floats:
    """Return the mean score of each owner's documents. Shape: (owners,)."""
    rows = [*split.train, *split.held_out]
    logits = torch.from_numpy(extract(model, [row.encoded for row in rows]).logits).double()
    targets = np.stack([np.asarray(build_target(row, split.objective, split.labels)) for row in rows])
    losses = build_objective(model)[1](logits, torch.from_numpy(targets))
    scores = -torch.expm1(losses.clamp(1e-12, 500)).log().numpy()
    position = {owner: index for index, owner in enumerate(owners)}
    index = np.array([position[row.owner] for row in rows])
    return np.bincount(index, scores, len(owners)) / np.bincount(index, minlength=len(owners))
