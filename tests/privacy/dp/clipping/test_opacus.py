from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, TensorDataset

from lexveil.privacy.dp.clipping.opacus import OpacusLSTM

if TYPE_CHECKING:
    from opacus.layers import DPLSTM

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


class Reader(nn.Module):
    """Sum of the outputs and final states of an LSTM, through a linear layer."""

    def __init__(self, lstm: nn.LSTM | OpacusLSTM | DPLSTM, width: int) -> None:
        super().__init__()
        self.lstm, self.head = lstm, nn.Linear(width, 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if not self.lstm.batch_first:
            x = x.transpose(0, 1)
        if lengths is None:
            out, (hidden, cells) = self.lstm(x)
        else:
            packed = pack_padded_sequence(x, lengths, self.lstm.batch_first, enforce_sorted=False)
            out, (hidden, cells) = self.lstm(packed)
            out = pad_packed_sequence(out, self.lstm.batch_first)[0]
        out = out if self.lstm.batch_first else out.transpose(0, 1)
        extra = hidden.sum((0, 2)) + cells.square().sum((0, 2))
        return self.head(out.sum(1)) + extra[:, None]


def readers(**kwargs) -> tuple[Reader, Reader]:
    """One with Opacus' DPLSTM and one with ours, of the same parameters."""
    from opacus.layers import DPLSTM

    theirs = Reader(DPLSTM(3, 4, **kwargs), 8 if kwargs.get("bidirectional") else 4)
    ours = Reader(OpacusLSTM(3, 4, **kwargs), theirs.head.in_features)
    # Within another module DPLSTM's state_dict has its names twice.
    ours.lstm.load_state_dict(theirs.lstm.state_dict())
    ours.head.load_state_dict(theirs.head.state_dict())
    return theirs, ours


def grad_sample(parameter: Any) -> Tensor:
    """The gradients of the examples, which Opacus adds to a parameter."""
    return parameter.grad_sample


def samples(reader: Reader, x: Tensor, lengths: Tensor | None, **kwargs) -> dict[str, Tensor]:
    from opacus import GradSampleModule

    wrapped = GradSampleModule(reader, **kwargs)
    wrapped(x, lengths).square().sum().backward()
    found = {name: grad_sample(p) for name, p in reader.head.named_parameters()}
    return found | {name: grad_sample(getattr(reader.lstm, name)) for name in reader.lstm.state_dict()}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_first": True, "bidirectional": True},
        {"batch_first": False, "num_layers": 2, "bidirectional": True},
        {"batch_first": True, "bias": False},
    ],
)
def test_examples_gradients_are_those_of_dplstm_and_of_each_example_alone(kwargs, packed, reduction):
    torch.manual_seed(0)
    theirs, ours = (reader.double() for reader in readers(**kwargs))
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    lengths = torch.tensor([2, 5, 1, 3, 5, 4]) if packed else None
    found = samples(ours, x, lengths, loss_reduction=reduction)
    if not packed:
        # Of packed sequences DPLSTM has the examples in the order of their lengths.
        expected = samples(theirs, x, lengths, loss_reduction=reduction)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            # DPLSTM's first states are in single precision.
            assert (found[name] - value).norm() <= 1e-6 * value.norm(), name
    alone = Reader(nn.LSTM(3, 4, **kwargs).double(), ours.head.in_features).double()
    alone.lstm.load_state_dict(ours.lstm.state_dict())
    alone.head.load_state_dict(ours.head.state_dict())
    for i in range(6):
        own = x[i : i + 1] if lengths is None else x[i : i + 1, : lengths[i]]
        alone.zero_grad()
        (alone(own).square().sum() * (6 if reduction == "mean" else 1)).backward()
        for part in (alone.lstm, alone.head):
            for name, p in part.named_parameters():
                assert p.grad is not None
                assert (found[name][i] - p.grad).norm() <= 1e-12 * p.grad.norm(), name


def test_as_many_steps_as_examples_and_a_batch_of_one():
    torch.manual_seed(1)
    for batch, time in ((5, 5), (1, 4), (4, 1), (1, 1)):
        theirs, ours = readers(batch_first=True)
        x = torch.randn(batch, time, 3)
        expected, found = samples(theirs, x, None), samples(ours, x, None)
        for name, value in expected.items():
            assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("batch", [4, 5])
def test_a_grad_sample_module_of_another_order_is_refused(batch):
    from opacus import GradSampleModule

    wrapped = GradSampleModule(OpacusLSTM(3, 4, batch_first=True), batch_first=False)
    out, _ = wrapped(torch.randn(batch, 5, 3))
    with pytest.raises(ValueError, match="batch_first=True"):
        out.sum().backward()


def test_a_layer_used_twice_sums_its_uses():
    from opacus import GradSampleModule

    torch.manual_seed(2)
    theirs, ours = (reader.lstm for reader in readers(batch_first=True))
    x, y = torch.randn(2, 5, 4, 3)
    for layer in (theirs, ours):
        wrapped = GradSampleModule(layer)
        (wrapped(x)[0].square().sum() + wrapped(y)[0].square().sum()).backward()
    for name in ours.state_dict():
        expected, found = (grad_sample(getattr(layer, name)) for layer in (theirs, ours))
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5), name


def trained(reader: Reader, mode: str, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The LSTM's parameters after an epoch under a PrivacyEngine, without noise."""
    from opacus import PrivacyEngine

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Any: how many objects it returns depends on the mode.
        prepared: Any = PrivacyEngine().make_private(
            module=reader,
            optimizer=torch.optim.SGD(reader.parameters(), 0.1),
            data_loader=DataLoader(TensorDataset(x, y), batch_size=4),
            criterion=nn.CrossEntropyLoss(),
            noise_multiplier=0.0,
            max_grad_norm=0.5,
            poisson_sampling=False,
            grad_sample_mode=mode,
        )
    model, optimizer, *criterion, loader = prepared
    loss = criterion[0] if criterion else nn.CrossEntropyLoss()
    for features, labels in loader:
        optimizer.zero_grad()
        loss(model(features), labels).backward()
        optimizer.step()
    return reader.lstm.state_dict()


@pytest.mark.parametrize("mode", ["hooks", "ghost"])
def test_a_privacy_engine_trains_it_as_it_trains_dplstm(mode):
    torch.manual_seed(3)
    theirs, ours = readers(batch_first=True, bidirectional=True)
    x, y = torch.randn(12, 5, 3), torch.randint(0, 2, (12,))
    before = copy.deepcopy(ours.lstm.state_dict())
    expected, found = trained(theirs, "hooks", x, y), trained(ours, mode, x, y)
    assert found.keys() == expected.keys() == before.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-6), name
        assert not torch.equal(found[name], before[name])


def test_an_empty_draw_leaves_no_gradient():
    from opacus import GradSampleModule

    wrapped = GradSampleModule(OpacusLSTM(3, 4, batch_first=True, bidirectional=True))
    wrapped(torch.zeros(0, 5, 3))[0].sum().backward()
    assert all(grad_sample(p).shape == (0, *p.shape) for p in wrapped.parameters())


def test_it_is_nn_lstm_outside_opacus():
    torch.manual_seed(4)
    theirs = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)
    ours = OpacusLSTM.from_lstm(copy.deepcopy(theirs))
    x = torch.randn(6, 5, 3)
    gradients: list[list[Tensor]] = []
    for layer in (theirs, ours):
        layer(x)[0].square().sum().backward()
        names = theirs.state_dict().keys()
        gradients.append([getattr(layer, name).grad for name in names])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    again = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)
    again.load_state_dict(ours.state_dict())
    assert torch.allclose(again(x)[0], ours(x)[0], atol=1e-6)
    copied = copy.deepcopy(ours).double()
    assert copied(x.double())[0].dtype == torch.float64


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="proj_size"):
        OpacusLSTM(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="initial state"):
        OpacusLSTM(3, 4)(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))
