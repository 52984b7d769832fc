"""Recipes: the plan of a run follows from public numbers, the settings and the number of owners."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from lexveil.nlp.encoders.config import TRANSFORMERS, Kind, Objective
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split
from lexveil.pipeline.training.recipes import RECIPES, check_deltas, plan_training, plan_without_privacy
from lexveil.privacy.dp.ledger.ledger import Limit


def split(owners: int) -> Split:
    row = EncodedDocument(np.zeros(4, np.float32), [], None, 1, 1)
    return Split(tuple(Row(str(i), str(i), "a", row) for i in range(owners)), (), "classify", ("a", "b"))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_plan_spends_what_it_was_given_and_not_more(kind: Kind) -> None:
    settings = TrainSettings(model=kind, epsilon=3)
    assert 2.9 < plan_training(settings, split(500)).epsilon(settings.delta) <= 3


def test_one_steps_noise_on_a_weight_grows_with_the_owners_up_to_a_thousand() -> None:
    def step_noise(owners: int) -> float:
        plan = plan_training(TrainSettings(), split(owners))
        expected_batch = plan.sample_rate * owners
        return plan.learning_rate * plan.noise_multiplier * plan.max_grad_norm / expected_batch

    few, some, many, more = (step_noise(owners) for owners in (50, 500, 1000, 20_000))
    assert few < some < many
    assert many == pytest.approx(more)
    assert few == pytest.approx(many * 0.05**0.25)


def test_what_the_settings_name_is_taken_as_it_is() -> None:
    named = TrainSettings(sample_rate=0.3, steps=7, max_grad_norm=2.5, learning_rate=0.125)
    plan = plan_training(named, split(300))
    assert (plan.sample_rate, plan.steps, plan.max_grad_norm, plan.learning_rate) == (0.3, 7, 2.5, 0.125)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_recipe_fills_in_what_they_leave_open(kind: Kind) -> None:
    recipe = RECIPES[kind]
    plan = plan_training(TrainSettings(model=kind), split(100))
    assert (plan.steps, plan.max_grad_norm) == (recipe.steps, recipe.max_grad_norm)
    assert plan.sample_rate == recipe.sample_rate


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_a_step_of_a_transformer_stays_affordable_however_many_owners_there_are(kind: Kind) -> None:
    for owners in (1000, 100_000):
        plan = plan_training(TrainSettings(model=kind), split(owners))
        assert plan.sample_rate * owners == pytest.approx(RECIPES[kind].owners_per_step)


@pytest.mark.parametrize("kind", ["square", "cubic"])
def test_a_step_of_a_polynomial_stays_short_however_many_owners_there_are(kind: Kind) -> None:
    bound = RECIPES[kind].longest_step
    for owners, at_bound in ((500, False), (100_000, True)):
        plan = plan_training(TrainSettings(model=kind), split(owners))
        assert bound is not None
        assert (plan.learning_rate * plan.max_grad_norm == pytest.approx(bound)) == at_bound


def test_a_smaller_epsilon_means_more_noise_and_smaller_steps() -> None:
    noisy, exact = (plan_training(TrainSettings(epsilon=epsilon), split(200)) for epsilon in (0.5, 8))
    assert noisy.noise_multiplier > exact.noise_multiplier
    assert noisy.learning_rate < exact.learning_rate


@pytest.mark.parametrize("objective", ["multilabel", "denoise"])
def test_other_objectives_do_not_scale_with_the_owners(objective: Objective) -> None:
    def step_noise(owners: int) -> float:
        documents = replace(split(owners), objective=objective)
        plan = plan_training(TrainSettings(), documents)
        return plan.learning_rate * plan.noise_multiplier * plan.max_grad_norm / (plan.sample_rate * owners)

    assert step_noise(50) == pytest.approx(step_noise(5000))


def test_denoising_takes_less_noise_per_step_than_classes_do() -> None:
    def rate(objective: Objective) -> float:
        return plan_training(TrainSettings(), replace(split(2000), objective=objective)).learning_rate

    assert rate("denoise") < rate("classify")


def test_a_cap_on_the_batch_is_accounted_for() -> None:
    capped = plan_training(TrainSettings(max_batch=100), split(200))
    assert capped.truncation is not None
    assert (capped.truncation.max_batch, capped.truncation.n_owners) == (100, 200)
    assert capped.epsilon(1e-5) <= TrainSettings().epsilon


def test_an_epsilon_that_no_noise_reaches_is_refused() -> None:
    with pytest.raises(ValueError, match=r"epsilon|noise"):
        plan_training(TrainSettings(epsilon=1e-12, delta=1e-12, sample_rate=1.0, steps=100_000), split(10))


def test_a_delta_that_lets_an_owner_be_published_whole_is_refused() -> None:
    check_deltas(TrainSettings(delta=1e-3), Limit(10.0, 1e-3), 999)
    for train, limit in ((1e-3, 1e-5), (1e-5, 1e-3)):
        with pytest.raises(TrainingRefusedError, match=r"is 0.001, .* one of 1000 owners .* below 1e-03$"):
            check_deltas(TrainSettings(delta=train), Limit(10.0, limit), 1000)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_twin_without_privacy_takes_twice_the_steps_at_its_own_rate(kind: Kind) -> None:
    plan = plan_training(TrainSettings(model=kind), split(100))
    twin = plan_without_privacy(plan, kind)
    assert twin.steps == 2 * plan.steps
    assert twin.learning_rate == RECIPES[kind].plain_rate
    assert twin.momentum > plan.momentum == 0
    assert twin.sample_rate == plan.sample_rate
