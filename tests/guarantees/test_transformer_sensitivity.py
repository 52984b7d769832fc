"""Promise: one owner moves a step of a transformer by at most max_grad_norm, through the real model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.losses import classification_loss
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper

CLIP = 0.1
LABELS = 3
Owner = Sequence[tuple[list[int], int]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> PublicEncoder:
    return PublicEncoder.load(bert_in(tmp_path_factory.mktemp("bert"), hidden_size=32, vocab_size=2000))


def moved(kind: Kind, encoder: PublicEncoder) -> FeatureModel:
    """A model in the middle of its training, where every part of it has a gradient."""
    model = (
        build_model(ModelConfig.of(kind, encoder, ("a", "b", "c"), chunk_length=24), encoder).double().train()
    )
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    return model


def owners_of(seed: int) -> list[Owner]:
    dice = np.random.default_rng(seed)
    sizes = dice.choice([1, 2, 6], size=3)
    return [
        [
            (dice.integers(1000, 2000, size=dice.integers(1, 22)).tolist(), int(dice.integers(LABELS)))
            for _ in range(size)
        ]
        for size in sizes
    ]


def clipped(model: FeatureModel, owners: Sequence[Owner]) -> tuple[torch.Tensor, torch.Tensor]:
    chunks = [chunk for owner in owners for chunk, _ in owner]
    targets = torch.tensor([target for owner in owners for _, target in owner])
    index = torch.tensor([place for place, owner in enumerate(owners) for _ in owner])
    with BookKeeper(model) as keeper:
        classification_loss(model(collate_tokens(chunks)), targets).sum().backward()
        found = keeper.owner_clipped_sum(index, len(owners), CLIP)
    return torch.cat([grad.flatten() for grad in found.grads.values()]), found.norms


@pytest.mark.parametrize("kind", ["lora", "last_layers", "full"])
def test_neighboring_sums_differ_by_at_most_the_clip(kind: Kind, small: PublicEncoder) -> None:
    model = moved(kind, small)
    for seed in range(2):
        owners = owners_of(seed)
        whole, norms = clipped(model, owners)
        assert norms.min() > CLIP  # so that clipping is what bounds them
        for leaving in range(len(owners)):
            rest, _ = clipped(model, [*owners[:leaving], *owners[leaving + 1 :]])
            assert (whole - rest).norm() <= CLIP * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("kind", ["lora", "last_layers", "full"])
def test_an_owners_norm_is_that_of_autograd(kind: Kind, small: PublicEncoder) -> None:
    model, owners = moved(kind, small), owners_of(5)
    _, norms = clipped(model, owners)
    trained = [p for p in model.parameters() if p.requires_grad]
    for owner, norm in zip(owners, norms, strict=True):
        inputs = collate_tokens([chunk for chunk, _ in owner])
        loss = classification_loss(model(inputs), torch.tensor([target for _, target in owner])).sum()
        alone = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained)]).norm()
        torch.testing.assert_close(norm, alone, rtol=1e-9, atol=0)
