"""A head on cached features: its private step against the same step without privacy, one thread.

A step is forward pass, backward pass and update; the private one clips and adds up each owner's gradient, and
adds the noise. For a linear head it is what the engine does: the gradient in closed form, with the products
of each owner's inputs kept (`engine.clip_in_closed_form`, `batches.multiply_following`). Both sides run in
turns in one process; the ratio is that of the medians. Features are random of norm 1, labels random: the cost
does not depend on them. The figure is the worst of four steps: 512 and 1400 items (what a fifth of
contract_provisions' training part is), each with one item an owner, and with several (geometric, 8.5 on
average). `details` has each of them, and a head with a hidden layer. There, `..._smallest` are ratios of the
smallest times, which other work on the machine raises least, `noise_share` is the share of the noise in the
private step, and `noise_over_plain_smallest` is the noise over the ordinary step.

A linear head's products are torch's on both sides. Those of a traced layer, in a head with a hidden layer,
are oneDNN's: `..._same_products` is against an ordinary step with oneDNN's products in all places.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.encoders.losses import classification_gradient, classification_loss
from lexveil.privacy.dp.batches import Batch, multiply_following
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum
from lexveil.privacy.dp.clipping.products import linear, multiply_transposed
from lexveil.privacy.dp.engine import ClosedLoss, clip_in_closed_form
from lexveil.privacy.dp.noise import Grid, add_noise, choose_grid
from lexveil.privacy.dp.randomness import SecureRandom

SEED = 13
FEATURES, HIDDEN, CLASSES = 384, 64, 83
ITEMS = (512, 1400)
TARGET = 1.05
RATE = 1.0


class _SameProducts(torch.autograd.Function):
    """An ordinary linear layer by the products of the traced one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, weight)
        return linear(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        rows = dy.reshape(-1, dy.shape[-1])
        dx = linear(rows, weight.t()).view(x.shape) if ctx.needs_input_grad[0] else None
        return dx, multiply_transposed(rows, x.reshape(-1, x.shape[-1])), rows.sum(0)


class SameProducts(nn.Linear):
    """nn.Linear by the products of the traced layer, for comparisons."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return _SameProducts.apply(input, self.weight, self.bias)


def plain_step(model: nn.Module, loss: Callable[[], Tensor], rate: float = RATE) -> None:
    """One step of gradient descent."""
    loss().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=rate)
                parameter.grad = None


@cache  # a run chooses it once
def _grid(weights: int) -> Grid:
    return choose_grid(1.0, 1.0, weights)


class Noise:
    """The noise of training, of one seed; a step later with each sum that it is added to."""

    def __init__(self) -> None:
        self._random, self._step = SecureRandom(bytes(32)), 0

    def add(self, gradients: Mapping[str, Tensor]) -> None:
        """Add noise of standard deviation 1 to gradients in float64."""
        add_noise(gradients, _grid(sum(map(Tensor.numel, gradients.values()))), self._random, self._step)
        self._step += 1


def private_step(model: nn.Module, clip: Callable[[], ClippedSum], noise: Noise, rate: float = RATE) -> None:
    """The same step, clipped by owner and with noise."""
    clipped = clip()
    noise.add(clipped.grads)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.sub_(clipped.grads.pop(name).mul_(rate).to(parameter.dtype))


def times_in_turns(steps: dict[str, Callable[[], None]], repetitions: int) -> dict[str, list[float]]:
    """CPU seconds of each step."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(repetitions + 2):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if repetition > 1:
                times[name].append(time.process_time() - started)
    return times


def in_turns(steps: dict[str, Callable[[], None]], repetitions: int) -> dict[str, float]:
    """Median CPU seconds of each step."""
    return {name: statistics.median(values) for name, values in times_in_turns(steps, repetitions).items()}


def owners_of(items: int, several: bool) -> tuple[Tensor, int]:
    """Each item's owner, in order, and how many owners there are."""
    if not several:
        return torch.arange(items), items
    sizes = torch.empty(items).geometric_(1 / 8.5).long()
    owners = torch.repeat_interleave(torch.arange(items), sizes)[:items]
    return owners, int(owners[-1]) + 1


def _head(hidden: bool, layer: type[nn.Linear]) -> nn.Module:
    if not hidden:
        return layer(FEATURES, CLASSES)
    return nn.Sequential(layer(FEATURES, HIDDEN), nn.Tanh(), layer(HIDDEN, CLASSES))


def _ratios(items: int, several: bool, hidden: bool, repetitions: int) -> dict[str, float]:
    torch.manual_seed(SEED)
    x = functional.normalize(torch.randn(items, FEATURES), dim=1)
    labels = torch.randint(0, CLASSES, (items,))
    owners, n_owners = owners_of(items, several)
    plain, same, private = _head(hidden, nn.Linear), _head(hidden, SameProducts), _head(hidden, nn.Linear)

    def loss(model: nn.Module) -> Callable[[], Tensor]:
        return lambda: functional.cross_entropy(model(x), labels, reduction="sum")

    # Products are kept from the start, as the engine's data do; weights are 1, as in the plain step.
    products = multiply_following(x, torch.bincount(owners, minlength=n_owners), 1)
    batch = Batch(x, labels, owners, torch.ones(items), products)
    closed = ClosedLoss(classification_loss, classification_gradient, "softmax")
    noise = Noise()
    zeros = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in private.named_parameters()}
    with BookKeeper(private) as keeper:

        def clip() -> ClippedSum:
            if isinstance(private, nn.Linear):
                return clip_in_closed_form(private, closed, batch, keeper, n_owners, 1.0)[1]
            loss(private)().backward()
            return keeper.owner_clipped_sum(owners, n_owners, 1.0)

        every = times_in_turns(
            {
                "plain": lambda: plain_step(plain, loss(plain), 1 / items),
                "same": lambda: plain_step(same, loss(same), 1 / items),
                "private": lambda: private_step(private, clip, noise, 1 / items),
                "noise": lambda: noise.add(zeros),
            },
            repetitions,
        )
    times, least = ({name: f(values) for name, values in every.items()} for f in (statistics.median, min))
    return {
        "over_plain": times["private"] / times["plain"],
        "over_same_products": times["private"] / times["same"],
        "over_plain_smallest": least["private"] / least["plain"],
        "over_same_products_smallest": least["private"] / least["same"],
        "noise_over_plain_smallest": least["noise"] / least["plain"],
        "plain_ms": times["plain"] * 1e3,
        "noise_share": times["noise"] / times["private"],
    }


def details(repetitions: int = 60) -> dict[str, dict[str, float]]:
    """Ratios of each case, by name."""
    cases = {
        f"{'mlp' if hidden else 'linear'}_{items}_{'several' if several else 'one'}": (items, several, hidden)
        for hidden in (False, True)
        for items in ITEMS
        for several in (False, True)
    }
    return {name: _ratios(*case, repetitions) for name, case in cases.items()}


def figures(found: dict[str, dict[str, float]] | None = None) -> dict[str, Figure]:
    """The worst ratio of a linear head. `found`: what `details` gave, to measure but once."""
    found = details() if found is None else found
    worst = max(ratios["over_plain"] for name, ratios in found.items() if name.startswith("linear"))
    return {"cached_head_over_plain": Figure(worst, TARGET, "x", "lower")}


def _measure(arguments: argparse.Namespace) -> Outcome:
    torch.set_num_threads(1)
    found = details(arguments.repetitions)
    return Outcome(figures(found), {"repetitions": arguments.repetitions}, [SEED], found)


if __name__ == "__main__":
    run(__doc__, _measure, lambda p: p.add_argument("--repetitions", type=int, default=60))
