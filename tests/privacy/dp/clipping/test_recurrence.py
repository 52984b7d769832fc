from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lexveil.privacy.dp.clipping import products, recurrence

SHAPES = [(128, 32, 128, 128), (7, 3, 5, 4), (5, 33, 16, 100), (3, 2, 64, 64), (1, 1, 8, 24)]


def _lstm(inputs: int, hidden: int) -> tuple[nn.LSTM, recurrence.Weights]:
    torch.manual_seed(0)
    module = nn.LSTM(inputs, hidden)
    w, u, b, c = (p.detach() for p in module.parameters())
    return module, recurrence.Weights(w, u, b + c)


@pytest.mark.parametrize(("time", "batch", "inputs", "hidden"), SHAPES)
def test_states_are_those_of_nn_lstm_and_both_ways_agree(time, batch, inputs, hidden):
    module, weights = _lstm(inputs, hidden)
    x = torch.randn(time, batch, inputs)
    expected, (_, last_cell) = module(x)
    ways = [recurrence.forward(x, weights), recurrence._by_steps(x, weights)]
    for states in ways:
        assert torch.allclose(states.hidden, expected, atol=1e-5)
        assert torch.allclose(states.cells[-1], last_cell[0], atol=1e-5)
    assert torch.allclose(ways[0].gates, ways[1].gates, atol=1e-5)


@pytest.mark.skipif(not products.can_use_onednn(torch.ones(1, 1)), reason="torch was built without oneDNN")
@pytest.mark.parametrize("hidden", [1, 4, 16, 32, 48, 64, 100, 128, 192, 256, 300])
def test_the_fused_kernel_is_believed_at_every_width(hidden):
    _, weights = _lstm(8, hidden)
    assert recurrence._by_fused_kernel(torch.randn(3, 4, 8), weights) is not None


@pytest.mark.skipif(not products.can_use_onednn(torch.ones(1, 1)), reason="torch was built without oneDNN")
def test_the_fused_kernel_is_asked_and_gates_that_lead_elsewhere_are_not_believed(monkeypatch):
    _, weights = _lstm(8, 16)
    x = torch.randn(6, 4, 8)
    assert recurrence._by_fused_kernel(x, weights) is not None
    assert recurrence._by_fused_kernel(x.double(), weights) is None
    gates = recurrence._gates

    def right(*of: Any) -> Tensor:
        value = gates(*of)
        assert value is not None
        return value

    for wrong in (
        lambda *of: None,
        lambda *of: right(*of).flip(-1),
        lambda *of: right(*of).flip(0),
        lambda *of: right(*of).roll(1, 1),
        lambda *of: right(*of).roll(16, -1),
    ):
        monkeypatch.setattr(recurrence, "_gates", wrong)
        assert recurrence._by_fused_kernel(x, weights) is None
        assert torch.allclose(recurrence.forward(x, weights).gates, recurrence._by_steps(x, weights).gates)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_empty_batch_and_one_that_is_not_finite(dtype):
    _, weights = _lstm(8, 16)
    weights = recurrence.Weights(*(getattr(weights, n).to(dtype) for n in ("input", "recurrent", "bias")))
    empty = recurrence.forward(torch.zeros(5, 0, 8, dtype=dtype), weights)
    assert empty.hidden.shape == (5, 0, 16)
    assert recurrence.backward(empty, weights.recurrent, empty.hidden, None).shape == (5, 0, 64)
    x = torch.full((5, 2, 8), torch.nan, dtype=dtype)
    assert recurrence.forward(x, weights).hidden.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_delta_is_what_autograd_finds(dtype):
    torch.manual_seed(1)
    time, batch, size = 6, 3, 5
    a = torch.randn(time, batch, 4 * size, dtype=dtype, requires_grad=True)
    recurrent = torch.randn(4 * size, size, dtype=dtype)
    h = c = torch.zeros(batch, size, dtype=dtype)
    hidden, cells = [], []
    for now in a:
        i, f, g, o = (now + h @ recurrent.t()).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        hidden.append(h)
        cells.append(c)
    of_hidden, of_cells = torch.randn(2, time, batch, size, dtype=dtype)
    ((torch.stack(hidden) * of_hidden).sum() + (torch.stack(cells) * of_cells).sum()).backward()
    weights = recurrence.Weights(torch.eye(4 * size, dtype=dtype), recurrent, a.new_zeros(4 * size))
    states = recurrence.forward(a.detach(), weights)
    delta = recurrence.backward(states, recurrent, of_hidden, of_cells)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert a.grad is not None
    assert (delta - a.grad).norm() <= tolerance * a.grad.norm()


def test_no_operator_is_the_cpus_own():
    """Tensors without values take the way of every device but the CPU."""
    _, weights = _lstm(8, 16)
    weights = recurrence.Weights(*(getattr(weights, n).to("meta") for n in ("input", "recurrent", "bias")))
    states = recurrence.forward(torch.empty(5, 3, 8, device="meta"), weights)
    delta = recurrence.backward(states, weights.recurrent, torch.empty_like(states.hidden), states.cells)
    assert (delta.device.type, delta.shape) == ("meta", (5, 3, 64))
