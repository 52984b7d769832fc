"""DP-SGD over owners: sample, clip, add noise, step, and average the iterates.

What worked for a linear head on frozen, unit-norm features (83 classes): sample_rate .2, 100 steps, iterates
averaged over the second half; 6,900 owners of one item: max_grad_norm 1, learning_rate 96; 800 owners of
several: max_grad_norm .1, learning_rate 192 at epsilon 8, 96 at epsilon 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from privacy.dp import accounting
from privacy.dp.batches import Batch, OwnerBatches, micro_batches
from privacy.dp.clipping import BookKeeper, NonFiniteGradient
from privacy.dp.randomness import SecureRandom
from privacy.dp.sampling import poisson_sample

Loss = Callable[[Any, Any], Tensor]
Gradients = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that decides a run beside data, model and key. Raises ValueError for impossible numbers.

    The noise has standard deviation noise_multiplier * max_grad_norm on each coordinate of the sum;
    `average_last` is the share of the steps whose iterates are averaged into the result (0: the last).
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    learning_rate: float
    momentum: float = 0.0
    average_last: float = 0.5

    def __post_init__(self) -> None:
        accounting.check_run(self.noise_multiplier, self.sample_rate, self.steps)
        for name in ("max_grad_norm", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and above 0, found {value}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), found {self.momentum}")
        if not 0 <= self.average_last <= 1:
            raise ValueError(f"average_last must lie in [0, 1], found {self.average_last}")

    def epsilon(self, delta: float) -> float:
        """Epsilon of the whole run at `delta`, under adding or removing one owner."""
        return accounting.epsilon(self.noise_multiplier, self.sample_rate, self.steps, delta)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """`unprotected_loss`: mean loss of the owners drawn in each step, not a number for an empty draw.

    It is computed from private data without noise: it must stay inside.
    """

    steps: int
    private: bool
    unprotected_loss: tuple[float, ...] = field(repr=False)


def train(
    model: nn.Module,
    data: OwnerBatches,
    loss: Loss,
    plan: TrainingPlan,
    random: SecureRandom,
    *,
    on_step: Callable[[int], None] | None = None,
    private: bool = True,
    max_items: int = 256,
) -> TrainingResult:
    """Train `model` in place; its trainable parameters end as the averaged iterates.

    `loss(outputs, targets)` gives one loss an item, shape (items,). A draw is processed in micro-batches
    of whole owners of about `max_items` items, which costs no privacy. `on_step(step)` is called after
    each step, from 0. `private=False` runs the same loop without clipping and noise, for comparisons that
    stay inside: it guarantees nothing.

    The result is a function of the arguments and of the key in `random`, bit for bit on one machine with
    one number of threads: dropout and other draws of the model come from the key as well.

    Raises NonFiniteGradient with the step, which is to be charged: it has looked at the data.

    Formal guarantee
    ----------------
    With `private`, the final parameters (and every iterate) are (plan.epsilon(delta), delta)-DP under
    adding or removing one owner with all items, against anyone without the key. Assumed: those of
    BookKeeper, SecureRandom and poisson_sample; initial parameters, preprocessing and the plan do not
    depend on private data, or are charged apart; `data.n_owners` is public; stopping with
    NonFiniteGradient is not observed.
    """
    was_training = model.training
    model.train()
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    velocity = {n: torch.zeros(p.shape, dtype=torch.float64, device=p.device) for n, p in parameters.items()}
    average = {n: torch.zeros_like(v) for n, v in velocity.items()}
    averaged_from = plan.steps - max(1, round(plan.average_last * plan.steps))
    expected_batch_size = plan.sample_rate * data.n_owners
    losses: list[float] = []
    with BookKeeper(model) if private else nullcontext() as keeper:
        for step in range(plan.steps):
            total, mean_loss = _step_sum(model, data, loss, plan, random, step, keeper, max_items)
            losses.append(mean_loss)
            if private:
                _add_noise(total, plan.noise_multiplier * plan.max_grad_norm, random, step)
            for name, parameter in parameters.items():
                velocity[name].mul_(plan.momentum).add_(total[name], alpha=1 / expected_batch_size)
                with torch.no_grad():
                    parameter.sub_((plan.learning_rate * velocity[name]).to(parameter.dtype))
                if step >= averaged_from:
                    newest = parameter.detach().double()
                    average[name].add_(newest - average[name], alpha=1 / (step - averaged_from + 1))
            if on_step is not None:
                on_step(step)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(average[name])
            parameter.grad = None
    model.train(was_training)
    return TrainingResult(plan.steps, private, tuple(losses))


def _step_sum(
    model: nn.Module,
    data: OwnerBatches,
    loss: Loss,
    plan: TrainingPlan,
    random: SecureRandom,
    step: int,
    keeper: BookKeeper | None,
    max_items: int,
) -> tuple[Gradients, float]:
    """Sum of the drawn owners' gradients, clipped if there is a keeper, and their mean loss."""
    owners: list[int] = poisson_sample(data.n_owners, plan.sample_rate, random, step).tolist()
    runs = list(micro_batches(owners, data.item_counts, max_items))
    seeds = random.integers("torch", step, len(runs))
    total = {
        name: torch.zeros(p.shape, dtype=torch.float64, device=p.device)
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    loss_sum = 0.0
    for run, seed in zip(runs, seeds, strict=True):
        batch = data.batch(run)
        with _seeded(int(seed)):
            loss_sum += _backward(model, batch, loss, step)
        if keeper is None:
            clipped = _plain_gradients(model, step)
        else:
            try:
                clipped = keeper.owner_clipped_sum(batch.owner_index, len(run), plan.max_grad_norm).grads
            except NonFiniteGradient:
                raise NonFiniteGradient(step) from None
        for name, gradient in clipped.items():
            total[name] += gradient
    return total, loss_sum / len(owners) if owners else math.nan


def _backward(model: nn.Module, batch: Batch, loss: Loss, step: int) -> float:
    losses = loss(model(batch.inputs), batch.targets)
    if losses.shape != batch.weights.shape:
        raise ValueError(
            f"the loss must give one value an item, {tuple(batch.weights.shape)}, found {tuple(losses.shape)}"
        )
    weighted = (losses * batch.weights.to(losses.dtype)).sum()
    if not bool(torch.isfinite(weighted)):
        raise NonFiniteGradient(step)
    weighted.backward()
    return float(weighted.detach())


def _plain_gradients(model: nn.Module, step: int) -> Gradients:
    gradients: Gradients = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.grad is not None:
            gradients[name] = parameter.grad.double()
            if not bool(torch.isfinite(gradients[name]).all()):
                raise NonFiniteGradient(step)
            parameter.grad = None
    return gradients


def _add_noise(total: Gradients, standard_deviation: float, random: SecureRandom, step: int) -> None:
    """Add the noise in float64: only what comes after it may be rounded."""
    noise = random.normal("noise", step, sum(g.numel() for g in total.values()))
    shares = noise.split([g.numel() for g in total.values()])
    for gradient, drawn in zip(total.values(), shares, strict=True):
        gradient.add_(drawn.view(gradient.shape).to(gradient.device), alpha=standard_deviation)


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
