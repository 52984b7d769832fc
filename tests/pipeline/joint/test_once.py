"""One message holds the sums of each class's documents, clipped by owner, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.joint.once import fit_once, plan_once
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.privacy.dp.batches import TensorOwners
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.group import SINGLE_PROCESS
from lexveil.privacy.dp.randomness import SecureRandom

SETTINGS = TrainSettings(model="linear", representation="embedding", device="cpu")
LABELS = ("lease", "loan", "employment")
OWNERS, ITEMS = 12, 4


def build_config() -> ModelConfig:
    return ModelConfig.of("linear", load_encoder(SETTINGS), LABELS, "classify", representation="embedding")


def invent() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(OWNERS * ITEMS, build_config().input_dim, generator=generator)
    inputs = torch.nn.functional.normalize(drawn, dim=1)
    targets = torch.randint(len(LABELS), (OWNERS * ITEMS,), generator=generator)
    return inputs, targets, torch.arange(OWNERS * ITEMS) // ITEMS


def start() -> np.ndarray:
    model = build_model(build_config(), load_encoder(SETTINGS))
    start_from_labels(model, load_encoder(SETTINGS))
    return model.output.weight.detach().double().numpy()


def fit(plan: TrainingPlan) -> FeatureModel:
    inputs, targets, owners = invent()
    data = TensorOwners(inputs, targets, owners, OWNERS)
    return fit_once(build_config(), data, SETTINGS, plan, SecureRandom(bytes(32)), SINGLE_PROCESS)


@pytest.mark.parametrize("max_grad_norm", [0.1, 10.0])
def test_the_weights_are_the_start_and_the_clipped_sums(max_grad_norm: float) -> None:
    inputs, targets, owners = (one.numpy() for one in invent())
    sums = np.zeros((OWNERS, len(LABELS), inputs.shape[1]))
    np.add.at(sums, (owners, targets), inputs.astype(float) / ITEMS)
    norms = np.linalg.norm(sums.reshape(OWNERS, -1), axis=1)
    assert (norms <= 1 + 1e-6).all()
    clipped = (sums * np.minimum(1, max_grad_norm / norms)[:, None, None]).sum(axis=0)
    expected = start() + 40.0 * clipped / OWNERS
    expected *= np.linalg.norm(start(), axis=1, keepdims=True) / np.linalg.norm(
        expected, axis=1, keepdims=True
    )
    model = fit(TrainingPlan(1e-6, max_grad_norm, 1.0, 1, 40.0))
    assert model.output.weight.detach().numpy() == pytest.approx(expected, abs=2e-3)


def test_noise_and_step_follow_from_the_epsilon_and_the_owners() -> None:
    many, few = (plan_once(SETTINGS, owners) for owners in (2000, 100))
    assert (many.steps, many.sample_rate) == (1, 1.0)
    assert 7.9 < many.epsilon(SETTINGS.delta) <= 8.0

    def noise_of_a_weight(plan: TrainingPlan, owners: int) -> Any:
        return plan.learning_rate * plan.noise_multiplier * plan.max_grad_norm / owners

    assert noise_of_a_weight(few, 100) == pytest.approx(noise_of_a_weight(many, 2000) * 0.1**0.25)
