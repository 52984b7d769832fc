"""Objectives of training, and a trial of one training step that reads no document."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lexveil.nlp.encoders.config import takes_tokens
from lexveil.nlp.encoders.inputs import Inputs, TokenBatch
from lexveil.nlp.encoders.losses import (
    classification_gradient,
    classification_loss,
    denoising_loss,
    multilabel_gradient,
    multilabel_loss,
)
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper
from lexveil.privacy.dp.engine import ClosedLoss, Loss

CORRUPTION = 0.3
_LENGTHS = (3, 7, 5)


def build_objective(model: FeatureModel) -> tuple[nn.Module, Loss]:
    """Return the module to train, which is, contains or is part of `model`, and the loss of its outputs.

    The loss is one value per item. Where the model computes nothing but its head, the head is trained.
    """
    if model.config.objective == "denoise":
        return _Denoiser(model), denoising_loss
    if model.config.objective == "multilabel":
        loss = ClosedLoss(multilabel_loss, multilabel_gradient, "sigmoid")
    else:
        loss = ClosedLoss(classification_loss, classification_gradient, "softmax")
    only_head = type(model.body) is nn.Identity and type(model.head) is nn.Linear and model.logit_scale == 1
    return (model.head if only_head else model), loss


def draw_head(model: FeatureModel) -> None:
    """Give an untrained model's last layer random weights, the same each time.

    All zeros would hide every gradient below it. The logits are of some units whatever the model's scale: one
    that is sure of a class has no gradient either.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nn.init.normal_(model.output.weight, std=1 / model.logit_scale)


def try_one_step(model: FeatureModel, encoder: PublicEncoder) -> None:
    """Run one forward and backward pass with clipping on random inputs.

    It finds a model that cannot be trained under DP before the ledger is charged. Do not train `model`
    afterwards: its head gets random weights.

    Args:
        model: the model.
        encoder: its public encoder.

    Raises:
        TrainingRefusedError: a layer cannot be clipped per owner, or the items of a batch influence each
            other; the message names the layer and its position.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draw_head(model)
        target, loss = build_objective(model)
        inputs, targets = _random_inputs(model, encoder), _random_targets(model)
        try:
            with BookKeeper(target) as keeper:
                loss(target(inputs), targets).sum().backward()
                clipped = keeper.owner_clipped_sum(torch.tensor([0, 1, 0]), 2, 1.0)
                if not bool(clipped.finite.all()):
                    raise ValueError("its gradients of ordinary inputs are not finite")
        except ValueError as error:
            raise TrainingRefusedError(
                f"kind {model.config.kind} cannot be trained under DP: {error}"
            ) from None
        _check_items_independent(model.eval(), inputs)


def _check_items_independent(model: FeatureModel, inputs: Inputs) -> None:
    """Refuse a model whose items influence each other: clipping per owner would then bound nothing."""
    with torch.no_grad():
        together = model.features(inputs)
        for row in range(len(_LENGTHS)):
            single = slice(row, row + 1)
            alone = inputs[single]
            if isinstance(inputs, TokenBatch):
                alone = TokenBatch(inputs.ids[single, : _LENGTHS[row]], inputs.lengths[single])
            assert isinstance(alone, Tensor | TokenBatch)
            if not torch.allclose(together[single], model.features(alone), atol=1e-3):
                raise TrainingRefusedError(
                    f"kind {model.config.kind} cannot be trained under DP: the encoder mixes the texts of a "
                    "batch"
                )


def _random_inputs(model: FeatureModel, encoder: PublicEncoder) -> Inputs:
    items = len(_LENGTHS)
    if not takes_tokens(model.config.kind):
        return nn.functional.normalize(torch.randn(items, model.config.input_dim), dim=1)
    ids = torch.randint(encoder.vocab_size, (items, max(_LENGTHS)))
    return TokenBatch(ids, torch.tensor(_LENGTHS))


def _random_targets(model: FeatureModel) -> Tensor:
    items, labels = len(_LENGTHS), len(model.config.labels)
    if model.config.objective == "classify":
        return torch.randint(labels, (items,))
    return torch.rand(items, labels).softmax(dim=1)


class _Denoiser(nn.Module):
    """A model that gets corrupted inputs."""

    def __init__(self, model: FeatureModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Inputs) -> Tensor:
        return self.model(self.model.corrupt(inputs, _TorchDraws(), CORRUPTION))


class _TorchDraws:
    """PyTorch's generator, which the DP engine seeds from the run's key at every step."""

    def random(self, size: tuple[int, ...], /) -> NDArray[np.float64]:
        return torch.rand(size, dtype=torch.float64).numpy()
