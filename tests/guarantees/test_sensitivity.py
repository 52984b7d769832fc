"""Promise: one owner moves the sum of a step by at most max_grad_norm, whatever the data."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from lexveil.privacy.dp.batches import TensorOwners
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper
from lexveil.privacy.dp.engine import TrainingPlan, train
from lexveil.privacy.dp.randomness import SecureRandom

TIME, WIDTH, CLASSES = 4, 3, 3


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(WIDTH, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0].mean(1))


def build(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(TIME * WIDTH, CLASSES)).double()
    if kind == "mlp":
        layers = [nn.Linear(WIDTH, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(6 * TIME, CLASSES)).double()
    return Tagger().double()


MODELS = {kind: build(kind) for kind in ("linear", "mlp", "lstm")}


def clipped_sum(model: nn.Module, x: Tensor, labels: Tensor, owners: Tensor, n: int, clip: float) -> Tensor:
    with BookKeeper(model) as keeper:
        if len(x):
            functional.cross_entropy(model(x), labels, reduction="sum").backward()
        grads = keeper.owner_clipped_sum(owners, n, clip).grads
    return torch.cat([grads[name].flatten() for name, _ in model.named_parameters()])


# Huge, tiny, zero and ordinary values, and some that are not finite; a row of them makes one chunk.
_values = st.one_of(
    st.sampled_from([0.0, 1e-300, -1e-8, 1.0, -1e3, 1e8, -1e30, 1e60, 1e120, math.nan, -math.inf]),
    st.floats(-10, 10, allow_nan=False, width=32),
)
_chunks = st.lists(_values, min_size=TIME * WIDTH, max_size=TIME * WIDTH)
_owner = st.lists(st.tuples(_chunks, st.integers(0, CLASSES - 1)), min_size=1, max_size=3)


@st.composite
def neighbors(draw):
    """Owners' chunks, some of them duplicated many times, and the one who leaves."""
    owners = draw(st.lists(_owner, min_size=1, max_size=4))
    owners = [chunks * draw(st.sampled_from([1, 1, 2, 17])) for chunks in owners]
    return owners, draw(st.integers(0, len(owners) - 1))


def tensors(owners: list) -> tuple[Tensor, Tensor, Tensor]:
    rows = [(values, label, i) for i, chunks in enumerate(owners) for values, label in chunks]
    x = torch.tensor([r[0] for r in rows], dtype=torch.float64).view(-1, TIME, WIDTH)
    labels, index = (torch.tensor([r[k] for r in rows], dtype=torch.int64) for k in (1, 2))
    return x, labels, index


@pytest.mark.parametrize("kind", list(MODELS))
@settings(max_examples=60)
@given(data=neighbors(), clip=st.sampled_from([1e-6, 0.1, 1.0, 1e4]))
def test_neighboring_sums_differ_by_at_most_the_clip(kind, data, clip):
    owners, leaving = data
    rest = owners[:leaving] + owners[leaving + 1 :]
    model = MODELS[kind]
    with_owner = clipped_sum(model, *tensors(owners), len(owners), clip)
    without = clipped_sum(model, *tensors(rest), len(rest), clip) if rest else torch.zeros(1)
    assert float((with_owner - without).norm()) <= clip * (1 + 1e-6)


@pytest.mark.parametrize("kind", list(MODELS))
@settings(max_examples=60)
@given(owner=_owner, repeats=st.sampled_from([1, 40]), clip=st.sampled_from([1e-3, 1.0]), wide=st.booleans())
def test_an_owner_alone_stays_within_the_clip_in_single_precision(kind, owner, repeats, clip, wide):
    model = MODELS[kind].double() if wide else build(kind).float()
    x, labels, index = tensors([owner * repeats])
    total = clipped_sum(model, x if wide else x.float(), labels, index, 1, clip)
    assert float(total.norm()) <= clip * (1 + 1e-6)


def test_chunks_that_nearly_cancel_stay_within_the_clip():
    """Norms from Gram matrices lose all digits here; the rounding error is charged to the owner."""
    model = nn.Linear(64, 64).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    for scale in (1e-3, 1e-6, 1e-9, 1e-12, 0.0):
        pair = torch.stack([x[0], -x[0] + scale * x[1]])
        for clip in (1e-9, 1e-3):
            with BookKeeper(model) as keeper:
                (1e6 * model(pair).sum(1)).sum().backward()
                grads = keeper.owner_clipped_sum(torch.tensor([0, 0]), 1, clip).grads
            assert float(torch.cat([g.flatten() for g in grads.values()]).norm()) <= clip * (1 + 1e-6)


@pytest.mark.parametrize("kind", list(MODELS))
def test_all_chunks_of_an_owner_are_clipped_together(kind):
    """Clipped chunk by chunk, an owner of 50 chunks would move the sum by up to 50 clips."""
    torch.manual_seed(1)
    chunk = torch.randn(1, TIME, WIDTH, dtype=torch.float64)
    labels = torch.zeros(50, dtype=torch.int64)
    owners = torch.zeros(50, dtype=torch.int64)
    total = clipped_sum(MODELS[kind], chunk.expand(50, -1, -1), labels, owners, 1, 1e-3)
    assert float(total.norm()) == pytest.approx(1e-3)


@pytest.mark.parametrize("kind", list(MODELS))
def test_one_owner_moves_one_step_of_training_by_at_most_the_clip(kind):
    """The same key, so the same noise: what is left of the difference is the owner."""
    generator = torch.Generator().manual_seed(2)
    x = 1e3 * torch.randn(12, TIME, WIDTH, generator=generator, dtype=torch.float64)
    labels = torch.arange(12) % CLASSES
    owner_of = torch.arange(12) // 3
    rate = 0.5
    plan = TrainingPlan(1.0, 0.25, 1.0, 1, learning_rate=rate)
    ends = []
    for kept in (owner_of >= 0, owner_of != 3):
        model = build(kind)
        data = TensorOwners(x[kept], labels[kept], owner_of[kept], 4)
        train(model, data, _loss, plan, SecureRandom(bytes(32)))
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    moved = float((ends[0] - ends[1]).norm()) * 4 / rate
    assert 0 < moved <= 0.25 * (1 + 1e-6)


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")
