from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from lexveil.nlp.encoders.config import Kind
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split
from lexveil.pipeline.training.recipes import plan_training


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
