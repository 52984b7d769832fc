"""The compiled functions of the LSTM compute what torch does, by every set of instructions that runs here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from deploy.build_kernel import build
from lexveil.privacy.dp.clipping import kernel, recurrence
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper
from tests.privacy.dp.compiling import RUNS


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "takes", lambda *_: False)


def _weights(inputs: int, size: int, dtype: torch.dtype) -> recurrence.Weights:
    torch.manual_seed(0)
    return recurrence.Weights(
        torch.randn(4 * size, inputs, dtype=dtype) / inputs**0.5,
        torch.randn(4 * size, size, dtype=dtype) / size**0.5,
        torch.randn(4 * size, dtype=dtype),
    )


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


ALL = kernel.Steps(None, False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("time", "batch", "inputs", "size"),
    [(17, 8, 32, 128), (5, 33, 7, 64), (1, 1, 3, 16), (40, 13, 16, 48), (2, 3, 5, 80)],
)
def test_states_and_delta_are_those_of_torch(instructions, dtype, time, batch, inputs, size):
    weights = _weights(inputs, size, dtype)
    x = torch.randn(time, batch, inputs, dtype=dtype)
    assert kernel.takes(x, size)
    expected, found = recurrence._by_steps(x, weights), kernel.forward(x, weights, ALL)
    tolerance = 1e-14 if dtype == torch.float64 else 1e-6
    for name in ("gates", "hidden", "cells", "before"):
        assert _distance(getattr(found, name), getattr(expected, name)) <= tolerance, name
    # Rows that are not beside each other, as those of one direction's part of the outputs.
    d_hidden = torch.randn(batch, time, 2 * size, dtype=dtype)[..., size:].transpose(0, 1)
    for d_cells in (None, torch.randn(time, batch, size, dtype=dtype)):
        right = recurrence.backward(expected, weights.recurrent, d_hidden.contiguous(), d_cells)
        delta = kernel.backward(found, weights.recurrent, d_hidden, d_cells, ALL)
        assert _distance(delta, right) <= tolerance


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_owners_gradients_are_those_of_autograd_one_by_one(
    instructions, layers, bidirectional, batch_first, packed
):
    torch.manual_seed(1)
    lengths = torch.tensor([4, 9, 1, 6, 9, 2, 7, 3] if packed else [9] * 8)
    module = nn.LSTM(16, 32, layers, batch_first=batch_first, bidirectional=bidirectional).double()
    x = torch.randn(8, 9, 16, dtype=torch.float64)

    def losses(items: slice) -> Tensor:
        of = lengths[items]
        rows = x[items, : int(of.max())]
        rows = rows if batch_first else rows.transpose(0, 1)
        given = pack_padded_sequence(rows, of, batch_first, enforce_sorted=False) if packed else rows
        out, (hidden, cells) = module(given)
        out = pad_packed_sequence(out, batch_first)[0] if packed else out
        states = hidden.square().sum((0, 2)) + cells.sin().sum((0, 2))
        return out.cos().sum(2).mul(out.sum(2)).sum(1 if batch_first else 0) + states

    with BookKeeper(module) as keeper:
        losses(slice(None)).sum().backward()
        clipped = keeper.owner_clipped_sum(torch.arange(8), 8, 1e9)
    total = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    for item in range(8):
        module.zero_grad()
        losses(slice(item, item + 1)).sum().backward()
        alone = [(name, p.grad) for name, p in module.named_parameters() if p.grad is not None]
        norm = torch.cat([gradient.flatten() for _, gradient in alone]).norm()
        assert abs(float(clipped.norms[item] / norm) - 1) <= 1e-12
        for name, gradient in alone:
            total[name] += gradient
    for name, gradient in total.items():
        assert _distance(clipped.grads[name], gradient) <= 1e-12


@pytest.mark.parametrize("reverse", [False, True])
def test_an_item_does_not_notice_the_others_nor_the_threads(instructions, monkeypatch, reverse):
    weights = _weights(16, 48, torch.float32)
    lengths = torch.randint(1, 12, (29,))
    x, d_hidden = torch.randn(11, 29, 16), torch.randn(11, 29, 48)
    d_hidden[torch.arange(11)[:, None] >= lengths] = 0
    steps = kernel.Steps(lengths, reverse)
    together = kernel.forward(x, weights, steps)
    delta = kernel.backward(together, weights.recurrent, d_hidden, None, steps)
    for item in (0, 7, 28):
        one = slice(item, item + 1)
        alone = kernel.Steps(lengths[one], reverse)
        # The inputs' own product is oneDNN's, which rounds by the number of rows.
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "linear", lambda *_, one=one: _preactivations(x, weights)[one].clone())
            states = kernel.forward(x[:, one], weights, alone)
            patch.setattr(kernel, "linear", lambda *_: _preactivations(x, weights))
            among = kernel.forward(x, weights, steps)
        assert torch.equal(states.hidden, among.hidden[:, one])
        alone_delta = kernel.backward(states, weights.recurrent, d_hidden[:, one], None, alone)
        among_delta = kernel.backward(among, weights.recurrent, d_hidden, None, steps)
        assert torch.equal(alone_delta, among_delta[:, one])
    for threads in (2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        again = kernel.forward(x, weights, steps)
        assert torch.equal(again.hidden, together.hidden)
        assert torch.equal(kernel.backward(again, weights.recurrent, d_hidden, None, steps), delta)


def _preactivations(x: Tensor, weights: recurrence.Weights) -> Tensor:
    return (x @ weights.input.t() + weights.bias).transpose(0, 1).contiguous()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_item_that_is_not_finite_stays_alone_and_padding_is_zero(instructions, value, reverse):
    weights = _weights(8, 32, torch.float32)
    x = torch.randn(6, 9, 8)
    x[2, 4] = value
    lengths = torch.tensor([6, 1, 3, 6, 5, 2, 6, 4, 1])
    steps = kernel.Steps(lengths, reverse)
    states = kernel.forward(x, weights, steps)
    d_hidden = torch.ones(6, 9, 32)
    delta = kernel.backward(states, weights.recurrent, d_hidden, None, steps)
    others = torch.arange(9) != 4
    assert states.hidden[:, others].isfinite().all()
    assert delta[:, others].isfinite().all()
    assert states.hidden[:, 4].isnan().any()
    padding = torch.arange(6)[:, None] >= lengths
    for part in (states.hidden, states.cells, delta):
        assert not part[padding].any()


def test_pre_activations_of_any_size_saturate(instructions):
    weights = _weights(8, 16, torch.float32)
    for scale in (1e2, 1e5, 1e30):
        x = torch.randn(4, 3, 8) * scale
        expected, found = recurrence._by_steps(x, weights), kernel.forward(x, weights, ALL)
        assert torch.allclose(found.gates, expected.gates, atol=1e-6)
        assert torch.allclose(found.hidden, expected.hidden, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "out", "width"), [(128, 512, 256), (7, 13, 16), (1, 1, 48), (33, 64, 80)])
def test_a_product_and_its_norm(instructions, dtype, rows, out, width):
    torch.manual_seed(2)
    # Columns of a larger array, and rows that are not dense.
    delta, x = torch.randn(rows, out + 3, dtype=dtype)[:, :out], torch.randn(width, rows, dtype=dtype).t()
    assert kernel.takes(x, width)
    product, square = kernel.multiply_transposed(delta, x)
    expected = delta.double().t() @ x.double()
    tolerance = 1e-14 if dtype == torch.float64 else 1e-6
    assert _distance(product.double(), expected) <= tolerance
    assert square == pytest.approx(float(expected.square().sum()), rel=10 * tolerance)


def test_what_is_not_taken(instructions):
    assert not kernel.takes(torch.ones(2, 3, 8), 17)
    assert not kernel.takes(torch.ones(2, 3, 8, dtype=torch.float16), 64)
    assert not kernel.takes(torch.ones(2, 0, 8), 64)
    assert not kernel.takes(torch.ones(2, 3, 8, device="meta"), 64)


def test_with_it_and_without_it_a_step_is_the_same_but_for_rounding(instructions, request):
    def step() -> dict[str, Tensor]:
        torch.manual_seed(3)
        module = nn.LSTM(16, 32, 2, batch_first=True, bidirectional=True)
        x = torch.randn(6, 20, 16)
        with BookKeeper(module) as keeper:
            module(x)[0].square().sum().backward()
            return keeper.owner_clipped_sum(torch.tensor([0, 1, 1, 2, 0, 3]), 4, 1.0).grads

    by_kernel = step()
    request.getfixturevalue("without")
    by_torch = step()
    assert any(not torch.equal(by_kernel[name], by_torch[name]) for name in by_torch)  # both ran
    for name, gradient in by_torch.items():
        assert _distance(by_kernel[name], gradient) <= 1e-5


@pytest.mark.skipif(not RUNS, reason="nothing is compiled for this processor")
def test_files_that_are_missing_damaged_or_of_other_source_are_not_used(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = RUNS[:1]
    file = tmp_path / f"kernel-{name}.so"
    source = Path(shutil.copy(compiled, tmp_path))
    monkeypatch.setattr(kernel, "SOURCE", source)

    def load() -> object:
        kernel.load.cache_clear()
        return kernel.load(name)

    try:
        assert load() is None
        file.write_bytes(b"not a library")
        assert load() is None
        file.unlink()
        shutil.copy(compiled.with_name(file.name), file)
        assert load() is not None
        source.write_text(source.read_text() + "\n")
        assert load() is None
    finally:
        kernel.load.cache_clear()


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_that_works_nothing_is_made(tmp_path: Path, compiler: str) -> None:
    assert build(kernel.SOURCE, tmp_path, compiler) == []
    assert list(tmp_path.iterdir()) == []


def test_an_old_glibc_suffices(compiled: Path) -> None:
    """The wheel's tag promises glibc 2.17."""
    for file in compiled.parent.glob("*.so"):
        versions = re.findall(rb"GLIBC_2\.(\d+)", file.read_bytes())
        assert all(int(version) <= 17 for version in versions)
