"""Objectives, and the trial of one step that finds what cannot be trained before anything is charged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.inputs import Inputs, collate_tokens
from lexveil.nlp.encoders.losses import classification_loss, denoising_loss, multilabel_loss
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.training.objectives import build_objective, draw_head, try_one_step
from lexveil.privacy.dp.engine import ClosedLoss


def model_of(encoder: PublicEncoder, objective: Any = "classify", kind: Any = "linear") -> FeatureModel:
    return build_model(ModelConfig.of(kind, encoder, ("a", "b", "c"), objective), encoder)


@pytest.mark.parametrize(
    ("objective", "loss"), [("classify", classification_loss), ("multilabel", multilabel_loss)]
)
def test_labels_are_learned_by_the_model_itself_or_its_head_alone(
    encoder: PublicEncoder, objective: str, loss: Callable[..., Tensor]
) -> None:
    model = model_of(encoder, objective)
    target, found = build_objective(model)
    assert target is model.head
    assert isinstance(found, ClosedLoss)
    assert found.loss is loss
    model.logit_scale = 2.0  # the head alone would compute something else
    assert build_objective(model)[0] is model


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


@pytest.mark.parametrize("kind", ["linear", "lstm", "topic_lstm"])
def test_no_item_is_without_gradient_when_a_head_is_drawn(encoder: PublicEncoder, kind: Any) -> None:
    """Audits clip and count gradients of drawn heads: one whose logits are hundreds has none to clip."""
    model = model_of(encoder, kind=kind)
    draw_head(model)
    rng = np.random.default_rng(1)
    if kind == "linear":
        drawn = rng.normal(size=(40, encoder.dimension)).astype(np.float32)
        inputs: Inputs = nn.functional.normalize(torch.from_numpy(drawn), dim=1)
    else:
        inputs = collate_tokens([rng.integers(encoder.vocab_size, size=8).tolist() for _ in range(40)])
    logits = model(inputs).detach()
    # The gradient of the loss by the logits: the probabilities, minus one for the item's own class.
    likeliest = logits.softmax(dim=1).max(dim=1).values
    assert float(likeliest.max()) < 0.999
    assert float(logits.std()) > 0.1


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
