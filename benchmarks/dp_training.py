"""What private training costs: a step with per-owner clipping against the same step without privacy.

An LSTM (batch 32, 128 steps, 128 inputs, 128 hidden, both directions), one item per owner: forward pass,
backward pass, clipping, noise, update. `lstm_over_nn_lstm` divides it by nn.LSTM's step without noise,
`lstm_speedup_over_opacus` divides the step of Opacus' DPLSTM under its GradSampleModule and DPOptimizer, with
its noise, by it. `lstm_by_torch_over_nn_lstm` is the private step without compiled functions, which an
installation without them makes. `noise_ns_a_weight` is what our noise costs by itself, for so many weights.
The steps run in turns in one process, one thread, CPU time; ratios are those of the medians, and those of the
smallest are in the details, because on a busy machine the medians measure the other work as well.
`opacus_lstm_speedup_over_opacus` is our LSTM within Opacus against DPLSTM.

The errors are relative L2 distances, the worst over parameters and owners, from autograd of nn.LSTM on one
item at a time in float64: of each owner's gradient (read off a sum in which all other owners are left out)
and of its norm; two layers, both directions, sequences of different lengths.

The figures of heads on cached features and of transformers are those of `benchmarks.dp_training_heads` and
`benchmarks.dp_training_transformers`; `--only lstm` leaves them out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks import dp_training_heads, dp_training_transformers
from benchmarks.contract import Figure, Outcome, run
from lexveil.privacy.dp.clipping import kernel
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper

SEED = 17
BATCH, TIME, INPUTS, HIDDEN = 32, 128, 128, 128
RATE = 0.01


def _loss(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)[0].square().mean((1, 2)).sum()


def _update(module: nn.Module, gradients: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.sub_(gradients[name].to(parameter.dtype), alpha=RATE)


def _plain(module: nn.LSTM, x: Tensor) -> Callable[[], None]:
    def step() -> None:
        module.zero_grad()
        _loss(module, x).backward()
        _update(module, {name: p.grad for name, p in module.named_parameters() if p.grad is not None})

    return step


def _private(module: nn.LSTM, keeper: BookKeeper, x: Tensor) -> Callable[[], None]:
    owners, noise = torch.arange(BATCH), dp_training_heads.Noise()

    def step() -> None:
        _loss(module, x).backward()
        clipped = keeper.owner_clipped_sum(owners, BATCH, 1.0).grads
        # As the engine does: parts of one tensor, and biases with one gradient, become sums of their own.
        grads = {name: part.clone(memory_format=torch.contiguous_format) for name, part in clipped.items()}
        noise.add(grads)
        _update(module, grads)

    return step


def _by_torch(step: Callable[[], None]) -> Callable[[], None]:
    def by_torch() -> None:
        with patch.object(kernel, "takes", lambda *_: False):
            step()

    return by_torch


def _opacus(module: nn.Module, x: Tensor) -> Callable[[], None]:
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    wrapped = GradSampleModule(module, batch_first=True, loss_reduction="sum")
    optimizer = DPOptimizer(
        torch.optim.SGD(wrapped.parameters(), RATE),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_batch_size=1,
        loss_reduction="sum",
    )

    def step() -> None:
        optimizer.zero_grad()
        _loss(wrapped, x).backward()
        optimizer.step()

    return step


def _seconds(step: Callable[[], None]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def lstm_times(repetitions: int) -> dict[str, list[float]]:
    """CPU seconds of each step, in turns; of the slow DPLSTM every eighth time only."""
    from opacus.layers import DPLSTM

    from lexveil.privacy.dp.clipping.opacus import OpacusLSTM

    torch.manual_seed(SEED)
    shape: dict[str, Any] = {"batch_first": True, "bidirectional": True}
    x = torch.randn(BATCH, TIME, INPUTS)
    plain, private = (nn.LSTM(INPUTS, HIDDEN, **shape) for _ in range(2))
    with warnings.catch_warnings(), BookKeeper(private) as keeper:
        warnings.simplefilter("ignore")
        steps = {
            "nn_lstm": _plain(plain, x),
            "private": _private(private, keeper, x),
            "private_by_torch": _by_torch(_private(private, keeper, x)),
            "opacus_lstm": _opacus(OpacusLSTM(INPUTS, HIDDEN, **shape), x),
            "dplstm": _opacus(DPLSTM(INPUTS, HIDDEN, **shape), x),
        }
        for name in ("nn_lstm", "private", "private_by_torch", "opacus_lstm") * 2:
            steps[name]()
        times: dict[str, list[float]] = {name: [] for name in steps}
        for repetition in range(repetitions):
            for name, step in steps.items():
                if name != "dplstm" or repetition % 8 == 0:
                    times[name].append(_seconds(step))
    return times


def lstm_errors() -> dict[str, float]:
    """The worst relative errors of owners' gradients and norms in float64."""
    torch.manual_seed(SEED)
    lengths = torch.tensor([9, 17, 1, 30, 24, 30, 5, 12])
    x = torch.randn(len(lengths), int(lengths.max()), 16, dtype=torch.float64)
    module = nn.LSTM(16, 24, 2, batch_first=True, bidirectional=True).double()

    def losses(items: slice) -> Tensor:
        of, until = lengths[items], int(lengths[items].max())
        packed = pack_padded_sequence(x[items, :until], of, batch_first=True, enforce_sorted=False)
        out, (hidden, cells) = module(packed)
        states = hidden.square().sum((0, 2)) + cells.sin().sum((0, 2))
        return pad_packed_sequence(out, batch_first=True)[0].square().sum((1, 2)) + states

    gradient_error = norm_error = 0.0
    for i in range(len(lengths)):
        module.zero_grad()
        losses(slice(i, i + 1)).sum().backward()
        alone = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        norm = torch.cat([gradient.flatten() for gradient in alone.values()]).norm()
        with BookKeeper(module) as keeper:
            values = losses(slice(None))
            # The others are in the same batch, and weigh nothing.
            (values * (torch.arange(len(lengths)) == i)).sum().backward()
            clipped = keeper.owner_clipped_sum(torch.arange(len(lengths)), len(lengths), 1e9)
        norm_error = max(norm_error, float((clipped.norms[i] - norm).abs() / norm))
        for name, gradient in alone.items():
            distance = (clipped.grads[name] - gradient).norm() / gradient.norm()
            gradient_error = max(gradient_error, float(distance))
    return {"gradient": gradient_error, "norm": norm_error}


def noise_times(repetitions: int) -> dict[int, float]:
    """Median nanoseconds a weight, by the number of weights."""
    noise, times = dp_training_heads.Noise(), dict[int, float]()
    for weights in (264_192, 1_000_000):
        zeros = {"weight": torch.zeros(weights, dtype=torch.float64)}
        noise.add(zeros)
        seconds = [_seconds(lambda: noise.add(zeros)) for _ in range(repetitions)]  # noqa: B023
        times[weights] = 1e9 * statistics.median(seconds) / weights
    return times


def _lstm(repetitions: int) -> tuple[dict[str, Figure], dict[str, Any]]:
    times, errors = lstm_times(repetitions), lstm_errors()
    median = {name: statistics.median(values) for name, values in times.items()}
    smallest = {name: min(values) for name, values in times.items()}
    figures = {
        "lstm_over_nn_lstm": Figure(median["private"] / median["nn_lstm"], 1.15, "x", "lower"),
        "lstm_speedup_over_opacus": Figure(median["dplstm"] / median["private"], 10.0, "x", "higher"),
        "lstm_by_torch_over_nn_lstm": Figure(
            median["private_by_torch"] / median["nn_lstm"], None, "x", "lower"
        ),
        "opacus_lstm_speedup_over_opacus": Figure(
            median["dplstm"] / median["opacus_lstm"], None, "x", "higher"
        ),
        "lstm_gradient_error_float64": Figure(errors["gradient"], 1e-12, "", "lower"),
        "lstm_norm_error_float64": Figure(errors["norm"], 1e-12, "", "lower"),
    }
    details = {
        "compiled_for": kernel.find_instructions(),
        "median_ms": {name: 1e3 * value for name, value in median.items()},
        "smallest_ms": {name: 1e3 * value for name, value in smallest.items()},
        "lstm_over_nn_lstm_smallest": smallest["private"] / smallest["nn_lstm"],
    }
    return figures, details


def _measure(arguments: argparse.Namespace) -> Outcome:
    torch.set_num_threads(1)
    figures, details = _lstm(arguments.repetitions)
    for weights, nanoseconds in noise_times(arguments.repetitions).items():
        figures[f"noise_ns_a_weight_{weights}"] = Figure(nanoseconds, 15, "ns", "lower")
    if arguments.only != "lstm":
        heads, transformers = dp_training_heads.details(), dp_training_transformers.details()
        figures |= dp_training_heads.figures(heads) | dp_training_transformers.figures(transformers)
        details |= {"heads": heads, "transformers": transformers}
    sizes = {"batch": BATCH, "time": TIME, "inputs": INPUTS, "hidden": HIDDEN}
    return Outcome(figures, sizes | {"repetitions": arguments.repetitions}, [SEED], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repetitions", type=int, default=24)
    parser.add_argument("--only", choices=["lstm"], help="measure nothing else")


if __name__ == "__main__":
    run(__doc__, _measure, _options)
