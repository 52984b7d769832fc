from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lexveil.privacy.dp.clipping import owner_gradients
from lexveil.privacy.dp.clipping.bookkeeper import (
    ROUNDING,
    BookKeeper,
    UnsupportedLayerError,
)

# Owner 3 has no item, owner 1 three of them.
OWNERS = torch.tensor([1, 0, 4, 1, 2, 1])
N_OWNERS = 5


class Tagger(nn.Module):
    """Masked mean of an LSTM's outputs and its final states, through a linear layer."""

    def __init__(self, layers=1, bidirectional=True, bias=True, batch_first=True, width=4):
        super().__init__()
        self.lstm = nn.LSTM(3, width, layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
        directions = 2 if bidirectional else 1
        self.head = nn.Linear(width * directions, 2)

    def forward(self, x: Tensor | PackedSequence) -> Tensor:
        out, (hidden, cells) = self.lstm(x)
        if isinstance(out, PackedSequence):
            out = pad_packed_sequence(out, batch_first=self.lstm.batch_first)[0]
        time = 1 if self.lstm.batch_first else 0
        extra = hidden.sum((0, 2)) + cells.square().sum((0, 2))
        return self.head(out.sum(time)) + extra[:, None]


def one_by_one(model, take, n_items, targets, owners=OWNERS, n_owners=N_OWNERS):
    """Reference: autograd of ordinary modules, one item at a time."""
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    sums = [{n: torch.zeros_like(p) for n, p in parameters.items()} for _ in range(n_owners)]
    for i in range(n_items):
        loss = (model(take(i)) - targets[i]).square().sum()
        grads = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for name, grad in zip(parameters, grads, strict=True):
            if grad is not None:
                sums[int(owners[i])][name] += grad
    norms = torch.stack([torch.cat([g.flatten() for g in s.values()]).norm() for s in sums])
    return sums, norms


def check(model, inputs, take, targets, tolerance=1e-12, owners=OWNERS, n_owners=N_OWNERS):
    sums, norms = one_by_one(model, take, len(owners), targets, owners, n_owners)
    for clip in (float(norms[norms > 0].median()), 1e6):
        with BookKeeper(model) as keeper:
            losses = (model(inputs) - targets).square().flatten(1).sum(1)
            losses.sum().backward()
            clipped = keeper.owner_clipped_sum(owners, n_owners, clip)
            clip = keeper.clipping_limit(clip)
        assert ((clipped.norms - norms).abs() <= tolerance * norms).all()
        factors = clip / norms.clamp(min=clip)
        for name in sums[0]:
            expected = sum(
                (f * s[name] for f, s in zip(factors, sums, strict=True)), torch.zeros_like(sums[0][name])
            )
            assert clipped.grads[name].shape == expected.shape
            assert (clipped.grads[name] - expected).norm() <= tolerance * expected.norm()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_equal_one_by_one_autograd(shape, bias):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7, bias), nn.Tanh(), nn.Linear(7, 3, bias)).double()
    x = torch.randn(6, *shape, dtype=torch.float64)
    targets = torch.randn(6, *shape[:-1], 3, dtype=torch.float64)
    check(model, x, lambda i: x[i : i + 1], targets)


def _factors(items, rows, dtype=torch.float64):
    delta, x, h = (torch.randn(items, rows, n, dtype=dtype) for n in (8, 5, 4))
    return owner_gradients.Factors(delta, {"w": x, "u": h}, ("b", "c"))


def test_gradients_are_formed_where_they_take_less_room_than_their_factors():
    for rows, formed in ((1, False), (64, True)):
        share = owner_gradients.choose_owner_gradients(
            _factors(16, rows), owner_gradients.Owners.from_index(torch.arange(16), 16)
        )
        assert isinstance(share, owner_gradients._Formed) == formed


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("rows", [1, 3, 20, 100, 700])
@pytest.mark.parametrize("kind", ["few", "one each", "many short", "short and long", "unsorted"])
def test_all_ways_agree(rows, kind, dtype):
    torch.manual_seed(1)
    index = {
        "few": torch.tensor([0, 1, 1, 1, 2, 4]),
        "one each": torch.arange(7),
        "many short": torch.arange(40) // 3,
        "short and long": torch.cat([torch.arange(20), torch.full((25,), 20), torch.arange(21, 40)]),
        "unsorted": OWNERS,
    }[kind]
    n_owners = int(index.max()) + 1
    if rows * index.numel() > 5000:
        index, n_owners = index[:5], int(index[:5].max()) + 1
    owners = owner_gradients.Owners.from_index(index, n_owners)
    factors = _factors(index.numel(), rows, dtype)
    flat = owner_gradients._Flat.from_factors(factors, owners)
    weights = torch.rand(n_owners, dtype=torch.float64)
    w, u, b = torch.zeros(n_owners, 8, 5), torch.zeros(n_owners, 8, 4), torch.zeros(n_owners, 8)
    expected = [t.double() for t in (w, u, b)]
    for i, owner in enumerate(index.tolist()):
        delta = factors.delta[i].double()
        expected[0][owner] += delta.t() @ factors.weights["w"][i].double()
        expected[1][owner] += delta.t() @ factors.weights["u"][i].double()
        expected[2][owner] += delta.sum(0)
    by_parameter = (k * e.flatten(1).square().sum(1) for k, e in zip((1, 1, 2), expected, strict=True))
    squares = sum(by_parameter, torch.zeros(n_owners, dtype=torch.float64))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for way in (owner_gradients._Formed, owner_gradients._Factored):
        share = way(flat, owners)
        assert torch.allclose(share.squared_norms, squares, rtol=tolerance, atol=0)
        assert (share.squared_bounds >= squares).all()
        for terms in (0, 16, 50):
            sums = share.weighted_sum(weights, terms)
            assert sums.keys() == {"w", "u", "b", "c"}
            for name, e in zip(("w", "u", "b", "c"), (*expected, expected[2]), strict=True):
                want = torch.tensordot(weights, e, 1)
                assert (sums[name] - want).norm() <= tolerance * want.norm()


def test_what_single_precision_rounds_away_stays_within_its_bound():
    torch.manual_seed(2)
    owners = owner_gradients.Owners.from_index(torch.arange(3000) // 3, 1000)
    delta = torch.rand(3000, 1, 8) - 0.3
    factors = owner_gradients.Factors(delta, {"w": torch.rand(3000, 1, 6)}, ())
    share, exact = (
        owner_gradients.choose_owner_gradients(
            owner_gradients.Factors(f(factors.delta), {"w": f(factors.weights["w"])}, ()), owners
        )
        for f in (torch.Tensor.float, torch.Tensor.double)
    )
    weights = torch.rand(1000, dtype=torch.float64)
    assert exact.mass(weights) == 0
    errors = []
    for terms in (16, 100, 3000):
        error = share.weighted_sum(weights, terms)["w"] - exact.weighted_sum(weights, terms)["w"]
        errors.append(float(error.norm()))
        assert 0 < errors[-1] <= 1.01 * (terms + 3) * 2.0**-24 * share.mass(weights)
    assert errors[0] < errors[2]


@pytest.mark.parametrize("parts", [1, 7])
@pytest.mark.parametrize("items", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e12])
def test_neighboring_sums_in_single_precision_differ_by_at_most_the_clip(parts, items, scale):
    """Rounding, in all parts together, stays within the allowance that clipping leaves for it."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(20, 6), nn.Tanh(), nn.Linear(6, 4))
    x, labels = torch.randn(400 * items, 20), torch.randint(0, 4, (400 * items,))
    owners = torch.arange(400 * items) // items

    def total(there: Tensor) -> Tensor:
        sums = []
        with BookKeeper(model) as keeper:
            # Whole owners: the parts of one would be clipped apart.
            for whole in owners[there].view(-1, items).tensor_split(parts):
                part = (items * whole + torch.arange(items)).flatten()
                losses = functional.cross_entropy(model(x[part]), labels[part], reduction="none")
                (scale * losses.sum()).backward()
                index = owners[part] - owners[part[0]]
                grads = keeper.owner_clipped_sum(index, int(index[-1]) + 1, 0.5, parts).grads
                sums.append(torch.cat([g.flatten() for g in grads.values()]))
        return torch.stack(sums).sum(0)

    everybody = torch.ones_like(owners, dtype=torch.bool)
    for leaving in (0, 200, 399) if parts == 1 else (399,):
        moved = float((total(everybody) - total(owners != leaving)).norm())
        assert 0 < moved <= 0.5
        assert moved <= scale * 1e3


def test_the_number_of_parts_must_be_one_at_least():
    model = nn.Linear(3, 3)
    with BookKeeper(model) as keeper, pytest.raises(ValueError, match="parts"):
        keeper.owner_clipped_sum(torch.tensor([0]), 1, 1.0, 0)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("packed", ["padded", "packed", "sorted"])
def test_lstm_equals_one_by_one_autograd(layers, bidirectional, batch_first, packed):
    torch.manual_seed(2)
    model = Tagger(layers, bidirectional, batch_first=batch_first).double()
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    targets = torch.randn(6, 2, dtype=torch.float64)
    lengths = {"padded": [5] * 6, "packed": [2, 5, 1, 3, 5, 4], "sorted": [5, 5, 4, 3, 2, 1]}[packed]

    def arrange(rows: Tensor, lengths: list[int]) -> Tensor | PackedSequence:
        rows = rows if batch_first else rows.transpose(0, 1)
        if packed == "padded":
            return rows
        return pack_padded_sequence(rows, lengths, batch_first, enforce_sorted=packed == "sorted")

    check(
        model,
        arrange(x, lengths),
        lambda i: arrange(x[i : i + 1, : lengths[i]], [lengths[i]]),
        targets,
    )


def test_lstm_without_bias_and_one_item_an_owner():
    torch.manual_seed(3)
    model = Tagger(bias=False).double()
    x, targets = torch.randn(6, 5, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    check(model, x, lambda i: x[i : i + 1], targets, owners=torch.arange(6), n_owners=6)


def test_float32_is_close():
    torch.manual_seed(4)
    model = Tagger(2)
    x, targets = torch.randn(6, 9, 3), torch.randn(6, 2)
    check(model, x, lambda i: x[i : i + 1], targets, tolerance=1e-5)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(5, 5)
        self.unused = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(torch.tanh(self.shared(x)))


def test_a_layer_used_twice_and_one_never():
    torch.manual_seed(5)
    model = Twice().double()
    x, targets = (torch.randn(6, 5, dtype=torch.float64) for _ in range(2))
    check(model, x, lambda i: x[i : i + 1], targets)


def test_frozen_layers_are_passed_through():
    torch.manual_seed(6)
    model = nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 5), nn.LayerNorm(5), nn.Linear(5, 2)).double()
    for module in (model[0], model[2], model[3].bias):
        module.requires_grad_(False)
    x = torch.randint(0, 9, (6,))
    targets = torch.randn(6, 2, dtype=torch.float64)
    check(model, x, lambda i: x[i : i + 1], targets)


class Words(nn.Module):
    """A table read at two places, through a norm, to a small tensor an item."""

    def __init__(self, norm, padding_idx=None):
        super().__init__()
        self.table = nn.Embedding(7, 4, padding_idx=padding_idx)
        self.norm = norm
        self.head = nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        both = self.table(ids).tanh() + self.table((ids + 1) % 7)
        return self.head(self.norm(both))


def _hugging_face_norm(kind):
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    return {"llama": LlamaRMSNorm, "gemma": Gemma3RMSNorm, "t5": T5LayerNorm}[kind](4)


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_embeddings_equal_one_by_one_autograd(padding_idx, shape):
    torch.manual_seed(10)
    model = Words(nn.Identity(), padding_idx).double()
    ids = torch.randint(0, 7, (6, *shape))
    check(model, ids, lambda i: ids[i : i + 1], torch.randn(6, *shape, 2, dtype=torch.float64))


@pytest.mark.parametrize(
    "kind", ["layer", "layer without bias", "layer over two", "rms", "rms over two", "llama", "gemma", "t5"]
)
def test_norms_equal_one_by_one_autograd(kind):
    torch.manual_seed(11)
    ours = {
        "layer": lambda: nn.LayerNorm(4),
        "layer without bias": lambda: nn.LayerNorm(4, bias=False),
        "layer over two": lambda: nn.LayerNorm([5, 4]),
        "rms": lambda: nn.RMSNorm(4),
        "rms over two": lambda: nn.RMSNorm([5, 4]),
    }
    model = Words(ours[kind]() if kind in ours else _hugging_face_norm(kind)).double()
    with torch.no_grad():
        for parameter in model.norm.parameters():
            parameter.copy_(torch.rand_like(parameter))
    ids = torch.randint(0, 7, (6, 5))
    targets = torch.randn(6, 5, 2, dtype=torch.float64)
    # Gemma's gradient is rounded to float32, by autograd's reference too.
    tolerance = 1e-6 if kind == "gemma" else 1e-12
    check(model, ids, lambda i: ids[i : i + 1], targets, tolerance)
    model.table.requires_grad_(False)
    next(model.norm.parameters()).requires_grad_(False)
    check(model, ids, lambda i: ids[i : i + 1], targets, tolerance)


def test_a_single_layer_is_a_model():
    torch.manual_seed(7)
    x, targets = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    check(nn.Linear(3, 2).double(), x, lambda i: x[i : i + 1], targets)


def test_agrees_with_opacus():
    from opacus import GradSampleModule
    from opacus.layers import DPLSTM

    torch.manual_seed(8)
    theirs = DPLSTM(3, 4, batch_first=True, bidirectional=True)
    ours = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 5, 3)
    wrapped = GradSampleModule(theirs, batch_first=True, loss_reduction="sum")
    wrapped(x)[0].square().sum().backward()
    theirs_by_name: dict[str, Any] = dict(wrapped.named_parameters())
    samples = {n.removeprefix("_module."): p.grad_sample for n, p in theirs_by_name.items()}
    norms = torch.cat([s.flatten(1) for s in samples.values()], 1).norm(dim=1)
    clip = float(norms.median())
    with BookKeeper(ours) as keeper:
        ours(x)[0].square().sum().backward()
        clipped = keeper.owner_clipped_sum(torch.arange(6), 6, clip)
    assert torch.allclose(clipped.norms.float(), norms, rtol=1e-5)
    clip *= 1 - ROUNDING
    factors = clip / norms.clamp(min=clip)
    for name, value in clipped.grads.items():
        expected = torch.einsum("i,i...->...", factors, samples[name])
        assert torch.allclose(value.float(), expected, rtol=1e-4, atol=1e-6)


def test_the_model_is_ordinary_again_outside():
    model = Tagger()
    x = torch.randn(2, 3, 3)
    before = model(x)
    with BookKeeper(model):
        inside = model(x)
        with torch.no_grad():
            assert torch.allclose(model(x), before)
    assert torch.allclose(inside, before, atol=1e-6)
    assert all("forward" not in vars(module) for module in model.modules())
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_dropout_between_layers_and_its_absence_in_evaluation():
    torch.manual_seed(9)
    model = Tagger(2)
    model.lstm.dropout = 0.5
    x = torch.randn(2, 3, 3)
    with BookKeeper(model):
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


class Free(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


class MixingRMSNorm(nn.Module):
    """Named like a normalization, yet its weight multiplies the input of the norm."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(x * self.weight, dim=-1)


def _half_frozen() -> nn.Module:
    model = nn.LSTM(3, 3)
    model.weight_hh_l0.requires_grad_(False)
    return nn.Sequential(model)


@pytest.mark.parametrize(
    ("model", "layer", "name"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Conv1d(3, 3, 1)), "Conv1d", "1"),
        (nn.Sequential(nn.GroupNorm(1, 3)), "GroupNorm", "0"),
        (nn.Sequential(nn.Embedding(5, 3, max_norm=1.0)), "Embedding", "0"),
        (nn.Sequential(nn.Embedding(5, 3, scale_grad_by_freq=True)), "Embedding", "0"),
        (nn.Sequential(nn.EmbeddingBag(5, 3)), "EmbeddingBag", "0"),
        (nn.Sequential(MixingRMSNorm()), "MixingRMSNorm", "0"),
        (nn.Sequential(nn.MultiheadAttention(4, 2)), "MultiheadAttention", "0"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False)), "BatchNorm1d", "1"),
        (nn.Sequential(nn.LSTM(3, 4, proj_size=2)), "LSTM", "0"),
        (nn.Sequential(nn.GRU(3, 4)), "GRU", "0"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))), "ParametrizedLinear", "0"),
        (nn.Sequential(Free()), "Free", "0"),
        (nn.Sequential(Tied()), "Linear", "0.a"),
        (_half_frozen(), "LSTM", "0"),
    ],
)
def test_other_layers_are_refused_by_name(model, layer, name):
    with pytest.raises(UnsupportedLayerError) as refusal:
        BookKeeper(model)
    assert (refusal.value.layer, refusal.value.name) == (layer, name)
    assert layer in str(refusal.value)


def test_a_model_of_frozen_parameters_and_an_initial_state_are_refused():
    with pytest.raises(ValueError, match="no trainable"):
        BookKeeper(nn.Linear(2, 2).requires_grad_(False))
    model = nn.LSTM(3, 4)
    with BookKeeper(model), pytest.raises(ValueError, match="initial state"):
        model(torch.randn(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))


def test_a_parameter_used_behind_its_layer_is_found_out():
    model = nn.Linear(3, 3)
    with BookKeeper(model) as keeper:
        (model(torch.ones(2, 3)) @ model.weight).sum().backward()
        with pytest.raises(UnsupportedLayerError, match="outside its layer"):
            keeper.owner_clipped_sum(torch.tensor([0, 1]), 2, 1.0)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e30])
def test_a_gradient_that_is_not_finite_counts_as_zero(value):
    model = nn.Linear(3, 3)
    with BookKeeper(model) as keeper:
        model(torch.tensor([[value] * 3, [1.0] * 3])).pow(8).sum().backward()
        clipped = keeper.owner_clipped_sum(torch.tensor([0, 1]), 2, 1.0)
    assert clipped.finite.tolist() == [False, True]
    assert clipped.norms[0] == 0 < clipped.norms[1]
    assert all(bool(grad.isfinite().all()) for grad in clipped.grads.values())


@pytest.mark.parametrize(
    ("index", "n_owners"),
    [(torch.tensor([0, 2]), 2), (torch.tensor([-1, 0]), 2), (torch.tensor([0]), 2), (torch.ones(2), 2)],
)
def test_an_index_that_does_not_fit_is_refused(index, n_owners):
    model = nn.Linear(3, 3)
    with BookKeeper(model) as keeper:
        model(torch.ones(2, 3)).sum().backward()
        with pytest.raises(ValueError):
            keeper.owner_clipped_sum(index, n_owners, 1.0)
