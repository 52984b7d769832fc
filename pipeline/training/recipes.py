"""Hyper-parameters of each kind of model: public numbers, chosen on development data, never on a user's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from lexveil.nlp.encoders.config import LOGIT_SCALES, Kind, Objective
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.settings import TrainSettings
from lexveil.privacy.dp.accounting import noise_multiplier
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.ledger.budget import Charge, Limit
from lexveil.privacy.dp.sampled_gaussian import Truncation


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters of a model kind.

    The learning rate follows from the noise: learning_rate = step_noise sample_rate n_owners /
    (noise_multiplier max_grad_norm), so that few owners take small steps and the noise does not dominate. For
    classification, step_noise falls with the fourth root of the number of owners below a thousand. That
    number counts as public.

    Attributes:
        step_noise: standard deviation of the noise that one step adds to a weight.
        max_grad_norm: L2 norm to which the gradient of an owner is clipped.
        sample_rate: probability that a step draws an owner.
        steps: number of steps.
        plain_rate: learning rate of the twin without privacy.
        owners_per_step: expected number of owners per step that a CPU can process, which bounds the sample
            rate; None: no bound.
        longest_step: largest learning rate, times the clipping norm; None: no bound. The rate grows with the
            number of owners, since the noise on a mean falls; polynomials diverge if it grows on.
    """

    step_noise: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    plain_rate: float
    owners_per_step: int | None = None
    longest_step: float | None = None


RECIPES = {
    "linear": Recipe(step_noise=0.2, max_grad_norm=0.1, sample_rate=0.5, steps=60, plain_rate=16.0),
    "mlp": Recipe(step_noise=0.005, max_grad_norm=0.1, sample_rate=0.5, steps=60, plain_rate=4.0),
    "square": Recipe(0.05, max_grad_norm=0.1, sample_rate=0.5, steps=60, plain_rate=4.0, longest_step=40.0),
    "cubic": Recipe(0.05, max_grad_norm=0.1, sample_rate=0.5, steps=60, plain_rate=4.0, longest_step=40.0),
    # Over fixed features of the public start, epsilon 8, on a held-out fifth of the training part's
    # contracts, owner / document: .692 / .734 with a rate of .1 and 50 steps, .714 / .757 so, .723 / .769
    # with .5 and 60, which takes three times as long.
    "lstm": Recipe(step_noise=0.0025, max_grad_norm=0.1, sample_rate=0.3, steps=30, plain_rate=0.0016),
    "topic_lstm": Recipe(step_noise=0.0025, max_grad_norm=0.1, sample_rate=0.3, steps=30, plain_rate=0.0016),
    # Tuned little: a few runs on 3,000 provisions. Rates suit heads whose logits are scaled (LOGIT_SCALES).
    "lora": Recipe(0.01, max_grad_norm=0.1, sample_rate=0.5, steps=40, plain_rate=0.04, owners_per_step=128),
    "last_layers": Recipe(
        0.002, max_grad_norm=0.1, sample_rate=0.5, steps=40, plain_rate=0.0016, owners_per_step=128
    ),
    "full": Recipe(
        0.0007, max_grad_norm=0.1, sample_rate=0.5, steps=40, plain_rate=0.0002, owners_per_step=128
    ),
}
_PLAIN_MOMENTUM = 0.9
# With few owners the signal is weak, so steps stay closer to the public initialization.
_MANY_OWNERS = 1000
# Soft targets over many topics give smaller gradients than classes, so they need less noise.
_DENOISE_STEP_NOISE = 0.03
_ROUNDING = 1e-6


def check_deltas(train: TrainSettings, limit: Limit, n_owners: int) -> None:
    """Check that each delta is below one over the number of owners, before a run is charged.

    A mechanism that publishes everything about one owner, drawn by chance from `n_owners`, is
    (0, 1 / n_owners)-DP: from that delta on, a guarantee promises an owner nothing.

    Args:
        train: the settings.
        limit: limit in force of the population that is charged.
        n_owners: number of owners to learn from. It counts as public; the model's card states it.

    Raises:
        TrainingRefusedError: a delta is too large.
    """
    for name, delta in (("train.delta", train.delta), ("the delta of the ledger's limit", limit.delta)):
        if delta * n_owners >= 1:
            raise TrainingRefusedError(
                f"{name} is {delta:g}, which allows a run to publish one of {n_owners} owners whole; "
                f"set it well below {1 / n_owners:.0e}"
            )


class Owned(Protocol):
    """What a plan depends on besides the settings: a split, or what several offices have together."""

    @property
    def objective(self) -> Objective:
        """What a model learns."""
        ...

    @property
    def n_owners(self) -> int:
        """Number of owners to learn from."""
        ...


def plan_training(train: TrainSettings, split: Owned) -> TrainingPlan:
    """Plan the steps, rates and noise of a run. The recipe of the kind fills in what the settings leave open.

    Args:
        train: the settings.
        split: the documents.

    Raises:
        ValueError: no noise reaches the epsilon with these settings.
    """
    recipe = RECIPES[train.model]
    affordable = math.inf if recipe.owners_per_step is None else recipe.owners_per_step / split.n_owners
    sample_rate = train.sample_rate or min(recipe.sample_rate, affordable)
    steps = train.steps or recipe.steps
    max_grad_norm = train.max_grad_norm or recipe.max_grad_norm
    truncation = None if train.max_batch is None else Truncation(train.max_batch, split.n_owners)
    sigma = noise_multiplier(train.epsilon, sample_rate, steps, train.delta, truncation=truncation)
    quiet = _DENOISE_STEP_NOISE / LOGIT_SCALES.get(train.model, 1.0)
    step_noise = min(recipe.step_noise, quiet if split.objective == "denoise" else math.inf)
    if split.objective == "classify":
        step_noise *= min(1.0, split.n_owners / _MANY_OWNERS) ** 0.25
    length = min(step_noise * sample_rate * split.n_owners / sigma, recipe.longest_step or math.inf)
    return TrainingPlan(
        noise_multiplier=sigma,
        max_grad_norm=max_grad_norm,
        sample_rate=sample_rate,
        steps=steps,
        learning_rate=train.learning_rate or length / max_grad_norm,
        truncation=truncation,
    )


def plan_charge(train: TrainSettings) -> Charge:
    """Plan what a training with these settings is charged, whatever its documents are.

    Args:
        train: the settings.

    Raises:
        TrainingRefusedError: the charge depends on the number of owners, or no noise reaches the epsilon.
    """
    recipe = RECIPES[train.model]
    if train.max_batch is not None or (recipe.owners_per_step is not None and train.sample_rate is None):
        raise TrainingRefusedError(
            "what such a training costs depends on the number of its owners: to announce it, set "
            "train.sample_rate and leave train.max_batch out"
        )
    sample_rate, steps = train.sample_rate or recipe.sample_rate, train.steps or recipe.steps
    try:
        sigma = noise_multiplier(train.epsilon, sample_rate, steps, train.delta)
    except ValueError as error:
        raise TrainingRefusedError(f"no training run is possible with these settings: {error}") from None
    # Slightly less noise than the trainings have: another machine may compute it a rounding error lower.
    return Charge(sigma * (1 - _ROUNDING), sample_rate, steps)


def plan_without_privacy(plan: TrainingPlan, kind: Kind) -> TrainingPlan:
    """Plan the training of the twin without privacy: twice the steps, momentum, a rate without noise."""
    rate = RECIPES[kind].plain_rate
    return replace(plan, steps=2 * plan.steps, learning_rate=rate, momentum=_PLAIN_MOMENTUM)
