"""Promise: an owner whose gradient is not finite counts as zero: nothing stops, nothing tells of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import LSTMS, Kind, ModelConfig, takes_tokens
from lexveil.nlp.encoders.inputs import Inputs, collate_tokens
from lexveil.nlp.encoders.lstm import TokenLSTM
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.training.objectives import build_objective
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum

CLIP = 0.1
POISON = 1500  # a token that only the odd owner has
# Items of each owner, with one, several, and more than are processed together.
SIZES = (1, 3, 40, 2, 1, 5)
KINDS: tuple[Kind, ...] = ("linear", "mlp", "square", "cubic", *LSTMS, "lora", "last_layers", "full")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> PublicEncoder:
    torch.set_num_threads(1)
    return PublicEncoder.load(bert_in(tmp_path_factory.mktemp("bert"), hidden_size=32, vocab_size=2000))


def build(kind: Kind, objective: str, encoder: PublicEncoder) -> FeatureModel:
    """A model in the middle of its training, where every part of it has a gradient."""
    config = ModelConfig.of(kind, encoder, ("a", "b", "c"), objective, chunk_length=24)  # pyright: ignore[reportArgumentType]
    model = build_model(config, encoder).train()
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    return model


def poison(model: FeatureModel, value: float) -> None:
    """Give the token an embedding that is not finite."""
    if isinstance(model.body, TokenLSTM):
        table = model.body.get_buffer("table").clone()  # the encoder's own stays
        table[POISON] = value
        model.body.register_buffer("table", table, persistent=False)
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings == 2000:
            with torch.no_grad():
                module.weight[POISON] = value


def items_of(kind: Kind, encoder: PublicEncoder, odd: float | None) -> tuple[list[Inputs], Tensor, Tensor]:
    """Each item, its target and its owner; the third owner's third item is odd, or it has no items."""
    draws = torch.Generator().manual_seed(1)
    items: list[Inputs] = []
    owners: list[int] = []
    for owner, size in enumerate(SIZES):
        for number in range(size):
            if takes_tokens(kind):
                item: Tensor = torch.randint(POISON, (4 + number % 7,), generator=draws)
            else:
                item = nn.functional.normalize(torch.randn(encoder.dimension, generator=draws), dim=0)
            if owner == 2 and odd is None:
                continue
            if odd is not None and (owner, number) == (2, 2):
                item[1] = POISON if takes_tokens(kind) else odd
            items.append(item)
            owners.append(owner)
    index = torch.tensor(owners)
    return items, torch.arange(len(items)) % 3, index


def clip(
    model: FeatureModel, items: Sequence[Inputs], targets: Tensor, index: Tensor, kind: Kind
) -> ClippedSum:
    target, loss = build_objective(model)
    goal = targets if model.config.objective == "classify" else nn.functional.one_hot(targets, 3).float()
    batch = collate_tokens([item.tolist() for item in items]) if takes_tokens(kind) else torch.stack(items)  # type: ignore[union-attr]
    with BookKeeper(target) as keeper:
        loss(target(batch), goal).sum().backward()
        return keeper.owner_clipped_sum(index, len(SIZES), CLIP)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("objective", ["classify", "multilabel"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_others_sum_is_that_without_the_owner(
    kind: Kind, objective: str, value: float, encoder: PublicEncoder
) -> None:
    sums: list[Tensor] = []
    for odd in (value, None):
        model = build(kind, objective, encoder)
        poison(model, value)
        items, targets, index = items_of(kind, encoder, odd)
        # The targets of the others stay theirs.
        targets = index % 3
        found = clip(model, items, targets, index, kind)
        assert found.finite.tolist() == [odd is None or owner != 2 for owner in range(len(SIZES))]
        assert found.norms[2] == 0
        assert found.norms[[0, 1, 3, 4, 5]].min() > 0
        sums.append(torch.cat([grad.flatten() for grad in found.grads.values()]))
    assert bool(sums[0].isfinite().all())
    torch.testing.assert_close(sums[0], sums[1], rtol=0, atol=1e-5 * CLIP)


@pytest.mark.parametrize("size", [1e9, 1e30, 1e38])
def test_a_huge_number_changes_nobody_else_s_clipping(size: float) -> None:
    """Rounding is charged to the owner's own norm, in the same way for everybody else."""
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 24, generator=draws)
    inputs[7] = size
    index = torch.arange(400)
    ends: list[Tensor] = []
    for kept in (index >= 0, index != 7):
        model = nn.Linear(24, 8)
        nn.init.constant_(model.weight, 0.01)
        with BookKeeper(model) as keeper:
            model(inputs[kept]).sum().backward()
            found = keeper.owner_clipped_sum(torch.arange(int(kept.sum())), int(kept.sum()), CLIP)
        ends.append(torch.cat([grad.flatten() for grad in found.grads.values()]))
    assert float((ends[0] - ends[1]).norm()) <= CLIP


@pytest.mark.parametrize("first", [1e77, 1e100, 1e160, 1e250])
def test_whether_an_owner_counts_as_zero_depends_on_nobody_else(first: float) -> None:
    """Also in double precision, where the others have numbers whose products overflow."""
    small = torch.tensor([[first, 1.0], [1.0, first]], dtype=torch.float64)
    odd = torch.tensor([[math.nan, 1.0]], dtype=torch.float64)
    verdicts: list[list[bool]] = []
    for company in (small, torch.cat([small, odd]), torch.cat([small, small.flip(0), small, odd])):
        model = nn.Linear(2, 2).double()
        index = torch.tensor([0, 0, *range(1, len(company) - 1)])
        with BookKeeper(model) as keeper:
            (model(company) * torch.tensor([first, 1.0], dtype=torch.float64)).sum().backward()
            found = keeper.owner_clipped_sum(index, len(company) - 1, CLIP)
        verdicts.append(found.finite.tolist())
        assert all(bool(grad.isfinite().all()) for grad in found.grads.values())
    assert len({found[0] for found in verdicts}) == 1
    assert not any(found[-1] for found in verdicts[1:])
