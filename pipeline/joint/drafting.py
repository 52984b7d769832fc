"""Drafts an agreement from the offers of offices."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from lexveil.nlp.encoders.config import Objective
from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.agreement import (
    Agreement,
    HubOffer,
    OfficeOffer,
    Protection,
    count_owners,
    locate_fault,
)
from lexveil.pipeline.joint.once import plan_once
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp import accounting
from lexveil.privacy.joint.noise import Sharing

# The learning rate is part of the agreement, so it is written with fewer digits than machines may differ in.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class _Together:
    objective: Objective
    n_owners: int


def draft_agreement(
    offers: Sequence[OfficeOffer],
    train: TrainSettings,
    protection: Protection,
    colluders: int,
    offices_per_owner: int = 1,
    hub: HubOffer | None = None,
    sum_key: str | None = None,
    theta: float | None = None,
) -> Agreement:
    """Draft an agreement: plan the steps and the noise for all owners together, as far as they count.

    The learning rate follows from the noise that the sum really has, as in a training by one office.

    Args:
        offers: the offices.
        train: settings with epsilon, delta and recipe.
        protection: what is opened.
        colluders: number of offices that may tell each other what they see.
        offices_per_owner: the most offices in which one owner has documents.
        hub: with protection he: who adds.
        sum_key: with protection he: digest of the offices' key.
        theta: share of the entries of an upload that is sent, its largest ones; None: all.

    Raises:
        AgreementError: the offers do not fit together, or no noise reaches the epsilon.
    """
    if len(offers) < 2:
        raise AgreementError(f"an agreement needs the offers of two offices, found {len(offers)}")
    if theta is not None and not 0 < theta < 1:
        raise AgreementError(f"theta is a share above 0 and below 1, found {theta:g}")
    setup = offers[0].setup
    together = _Together(setup.objective, count_owners(offers))
    number = secrets.token_hex(32)
    try:
        if protection == "once":
            plan = plan_once(train, together.n_owners)
        else:
            plan = plan_training(train.model_copy(update={"model": setup.kind, "max_batch": None}), together)
        in_turns = protection == "cyclic"
        sharing = Sharing(len(offers), 0, offices_per_owner)
        rate = plan.sample_rate if in_turns else sharing.sample_rate(plan.sample_rate)
        turns = plan.steps * (offices_per_owner if in_turns else 1)
        wanted = plan.noise_multiplier
        if (rate, turns) != (plan.sample_rate, plan.steps):
            wanted = accounting.noise_multiplier(train.epsilon, rate, turns, train.delta)
        drafted = Agreement(
            number=number,
            offices=tuple(offers),
            protection=protection,
            colluders=colluders,
            offices_per_owner=offices_per_owner,
            epsilon=train.epsilon,
            delta=train.delta,
            noise_multiplier=wanted,
            max_grad_norm=plan.max_grad_norm,
            sample_rate=plan.sample_rate,
            steps=plan.steps * (len(offers) if in_turns else 1),
            learning_rate=plan.learning_rate,
            hub=hub,
            sum_key=sum_key,
            theta=theta,
        )
        noise = drafted.plan_noise()
        total = len(offers) ** 0.5 * noise.deviation * 2.0**-noise.bits / plan.max_grad_norm
    except ValidationError as error:
        raise AgreementError(f"no agreement is possible: {locate_fault(error)}") from None
    except ValueError as error:
        raise AgreementError(f"no agreement is possible with these settings: {error}") from None
    if train.learning_rate is None:
        learning_rate = plan.learning_rate * plan.noise_multiplier / total
        drafted = drafted.model_copy(update={"learning_rate": float(f"{learning_rate:.{_DIGITS}g}")})
    drafted.check()
    return drafted
