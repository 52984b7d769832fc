"""Objectives, and the trial of one step that finds what cannot be trained before anything is charged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.losses import classification_loss, denoising_loss, multilabel_loss
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.training.objectives import build_objective, try_one_step


def model_of(encoder: PublicEncoder, objective: Any = "classify", kind: Any = "linear") -> FeatureModel:
    return build_model(ModelConfig.of(kind, encoder, ("a", "b", "c"), objective), encoder)


@pytest.mark.parametrize(
    ("objective", "loss"), [("classify", classification_loss), ("multilabel", multilabel_loss)]
)
def test_labels_are_learned_by_the_model_itself(
    encoder: PublicEncoder, objective: str, loss: Callable[..., Tensor]
) -> None:
    model = model_of(encoder, objective)
    assert build_objective(model) == (model, loss)


def test_denoising_corrupts_what_the_model_sees_by_torchs_generator(encoder: PublicEncoder) -> None:
    model = model_of(encoder, "denoise")
    nn.init.normal_(model.output.weight)
    target, loss = build_objective(model)
    assert loss is denoising_loss
    assert {id(p) for p in target.parameters()} == {id(p) for p in model.parameters()}
    inputs = nn.functional.normalize(torch.ones(2, encoder.dimension), dim=1)

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return target(inputs).detach()

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert not torch.allclose(run(1), model(inputs))


class _Mixing(nn.Module):
    """A body that lets the items of a batch influence each other."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs - inputs.mean(dim=0)


class _Unknown(nn.Module):
    """A layer whose gradient per owner cannot be computed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.gain


def test_a_body_that_mixes_the_items_of_a_batch_is_refused(encoder: PublicEncoder) -> None:
    model = model_of(encoder)
    model.body = _Mixing()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TrainingRefusedError, match=r"kind linear cannot be trained.*mixes the texts"):
        try_one_step(model, encoder)


def test_a_layer_that_cannot_be_clipped_is_named(encoder: PublicEncoder) -> None:
    model = model_of(encoder)
    model.body = _Unknown(encoder.dimension)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TrainingRefusedError, match=r"kind linear cannot be trained under DP") as caught:
        try_one_step(model, encoder)
    assert "_Unknown" in str(caught.value)


def test_a_model_whose_loss_is_not_finite_is_refused(encoder: PublicEncoder) -> None:
    model = model_of(encoder)
    assert model.output.bias is not None
    nn.init.constant_(model.output.bias, float("nan"))
    with pytest.raises(TrainingRefusedError, match="cannot be trained under DP"):
        try_one_step(model, encoder)


@pytest.mark.parametrize("kind", ["linear", "mlp", "square", "lstm"])
def test_the_trial_draws_nothing_from_the_callers_generator(encoder: PublicEncoder, kind: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    try_one_step(model_of(encoder, kind=kind), encoder)
    assert torch.equal(torch.rand(3), expected)
