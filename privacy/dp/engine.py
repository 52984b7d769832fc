"""DP-SGD over owners: sample, clip, add noise, take a step, and average the iterates.

`lexveil.pipeline.training.recipes` and docs/utility.md say which parameters work and how they were tested.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lexveil.privacy.dp import accounting, sampled_gaussian
from lexveil.privacy.dp.batches import Batch, OwnerBatches, micro_batches
from lexveil.privacy.dp.checkpoint import Checkpoint, TrainingState
from lexveil.privacy.dp.clipping import linear_head
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum
from lexveil.privacy.dp.clipping.linear_head import Activation, HeadBatch
from lexveil.privacy.dp.group import SINGLE_PROCESS, Companions
from lexveil.privacy.dp.noise import Grid, add_noise, choose_grid
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.dp.sampled_gaussian import Truncation
from lexveil.privacy.dp.sampling import poisson_sample

Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True, slots=True)
class ClosedLoss:
    """A loss whose gradient is known in closed form: a linear model then needs no automatic differentiation.

    Attributes:
        loss: Returns one loss per item from outputs and targets, shape (items,).
        with_gradient: Returns the losses as well, and the gradient of each with respect to its outputs, shape
            (items, out), which the caller may overwrite.
        activation: The function of the outputs that, less the targets, is this gradient: compiled functions
            compute it. None: another one.
    """

    loss: Callable[[Any, Any], Tensor]
    with_gradient: Callable[[Any, Any], tuple[Tensor, Tensor]]
    activation: Activation | None = None

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Return one loss per item."""
        return self.loss(outputs, targets)


Gradients = dict[str, Tensor]
# A clipping norm that clips nothing: an owner processed in parts is clipped once the parts are summed.
_UNCLIPPED = sys.float_info.max


class NonFiniteWeightsError(ArithmeticError):
    """A step has made a weight infinite or not a number: the learning rate is too large.

    The weights follow from the noisy sums alone, so it reveals no more than the iterates do.

    Attributes:
        step: Number of the step.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"a weight is not finite after step {step}: lower the learning rate")
        self.step = step


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that decides a run besides data, model and key.

    Attributes:
        noise_multiplier: The noise on each coordinate of the sum has a standard deviation of
            noise_multiplier * max_grad_norm, and a little more for the grid (`noise.choose_grid`).
        max_grad_norm: L2 norm to which each owner's gradient is clipped.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        learning_rate: Step size along the noisy mean gradient.
        momentum: Momentum, in [0, 1).
        average_last: Share of the steps, from the end, whose iterates are averaged into the result; 0 returns
            the last iterate.
        truncation: Cap on the size of a draw; the run then costs what truncated Poisson sampling costs.

    Raises:
        ValueError: A parameter is out of range.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    learning_rate: float
    momentum: float = 0.0
    average_last: float = 0.5
    truncation: Truncation | None = None

    def __post_init__(self) -> None:
        sampled_gaussian.check_run(self.noise_multiplier, self.sample_rate, self.steps)
        for name in ("max_grad_norm", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and above 0, found {value}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), found {self.momentum}")
        if not 0 <= self.average_last <= 1:
            raise ValueError(f"average_last must be in [0, 1], found {self.average_last}")

    def epsilon(self, delta: float) -> float:
        """Return the epsilon of the whole run at `delta`, under adding or removing one owner.

        Formal guarantee:
            That of `accounting.epsilon`.
        """
        return accounting.epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The outcome of a run, besides the parameters of the model.

    Attributes:
        steps: Number of steps.
        private: False for a run without clipping and noise.
        unprotected_loss: Mean loss of the owners drawn in each step, NaN for an empty draw. It is computed
            from private data without noise and must not be published.
        unprotected_zeros: Number of gradients, one per owner and step, that were not finite and counted as
            zero. It must not be published either.
    """

    steps: int
    private: bool
    unprotected_loss: tuple[float, ...] = field(repr=False)
    unprotected_zeros: int = field(default=0, repr=False)


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
    checkpoint: Checkpoint | None = None,
    group: Companions = SINGLE_PROCESS,
) -> TrainingResult:
    """Train `model` in place, on its device; its trainable parameters end as the averaged iterates.

    The result is a function of the arguments and of the key in `random`, bit for bit on one machine with one
    number of threads on the CPU: dropout and other draws of the model are addressed by step and micro-batch.
    So a run that continues from its checkpoint ends as if it had never been killed, and one that is shared by
    a group differs only by the rounding of float64 sums.

    Args:
        model: Model whose trainable parameters `BookKeeper` supports.
        data: Data set by owner.
        loss: `loss(outputs, targets)` returns one loss per item, shape (items,).
        plan: Parameters of the run.
        random: Source of sampling and noise.
        on_step: Called with the number of each completed step, from 0 or from where the checkpoint continues.
        private: False runs the same loop without clipping and noise, for internal comparisons; it guarantees
            nothing.
        max_items: Largest number of items in a micro-batch. Splitting a draw costs no privacy.
        checkpoint: File to continue from and to write.
        group: Those who train with this process. Processes of torchrun call this function with equal
            arguments and share the micro-batches of each draw; only the first writes the checkpoint. Offices
            have data and keys of their own, and add up noisy sums.

    Raises:
        NonFiniteWeightsError: A weight has become infinite or not a number. It carries the step, which must
            be charged because it has read the data. All processes of a group raise it.
        ValueError: The plan was made for another number of owners, or the loss has another shape.

    Formal guarantee:
        With `private`, the final parameters (and every iterate) are (plan.epsilon(delta), delta)-DP under
        adding or removing one owner with all items, against anyone without the key. Assumptions: those of
        BookKeeper, `noise.choose_grid`, SecureRandom and poisson_sample; initial parameters, preprocessing
        and the plan do not depend on private data, or are charged separately; `data.n_owners` is public; what
        the processes of a group exchange is not observed. A gradient that is not finite counts as zero, so it
        neither stops the run nor shows; stopping with NonFiniteWeightsError follows from the noisy sums, and
        is covered.
    """
    if plan.truncation is not None and plan.truncation.n_owners != data.n_owners:
        raise ValueError(f"the plan counts {plan.truncation.n_owners} owners, the data {data.n_owners}")
    was_training = model.training
    model.train()
    iterates = _Iterates(model, plan, group.count_owners(data.n_owners))
    weights = sum(p.numel() for p in trainable_parameters(model).values())
    grid = choose_grid(plan.noise_multiplier, plan.max_grad_norm, weights)
    key, about = random.derive("checkpoint"), {"plan": asdict(plan), "n_owners": data.n_owners}
    losses: list[float] = []
    zeros = torch.zeros((), dtype=torch.float64)
    state = {**iterates.state(), "zeros": zeros}
    if checkpoint is not None and group.rank == 0:
        last = checkpoint.load(key, about, state)
        if last is not None:
            for name, tensor in state.items():
                tensor.copy_(last.tensors[name])
            losses = list(last.losses)
    steps_done = torch.tensor([len(losses)])
    group.copy_from_first([steps_done, *state.values()])
    losses = losses or [math.nan] * int(steps_done)
    with BookKeeper(model) if private else nullcontext() as keeper:
        draws = _Draws(model, data, loss, plan, random, keeper, max_items, group, grid)
        for step in range(int(steps_done), plan.steps):
            total, mean_loss, not_finite = draws.sum_at(step)
            losses.append(mean_loss)
            zeros += not_finite
            iterates.move(total, step)
            if on_step is not None:
                on_step(step)
            if checkpoint is not None and group.rank == 0 and checkpoint.is_due():
                checkpoint.save(TrainingState(tuple(losses), state), key, about)
    iterates.finish()
    model.train(was_training)
    return TrainingResult(plan.steps, private, tuple(losses), int(zeros))


class _Iterates:
    """The moving parameters: momentum, and the average of the last iterates, in float64."""

    def __init__(self, model: nn.Module, plan: TrainingPlan, n_owners: int) -> None:
        self._plan = plan
        self._parameters = trainable_parameters(model)
        # The constant qN, never the size of a draw, which is private.
        self._expected_batch_size = plan.sample_rate * n_owners
        self._averaged_from = plan.steps - max(1, round(plan.average_last * plan.steps))
        self._velocity = zero_gradients(model) if plan.momentum else {}
        self._average = zero_gradients(model)

    def state(self) -> dict[str, Tensor]:
        """Return the moving tensors themselves, by name."""
        parameters = {name: parameter.detach() for name, parameter in self._parameters.items()}
        parts = {"parameter": parameters, "velocity": self._velocity, "average": self._average}
        return {f"{part}.{name}": tensor for part, all_ in parts.items() for name, tensor in all_.items()}

    @torch.no_grad()
    def move(self, total: Gradients, step: int) -> None:
        """Take one step along `total`, which is overwritten.

        Raises:
            NonFiniteWeightsError: The step has made a weight infinite or not a number.
        """
        for name, parameter in self._parameters.items():
            direction = total[name].div_(self._expected_batch_size)
            if self._plan.momentum:
                direction = self._velocity[name].mul_(self._plan.momentum).add_(direction)
            parameter.sub_((self._plan.learning_rate * direction).to(parameter.dtype))
            if step >= self._averaged_from:
                average = self._average[name]
                average.add_(parameter - average, alpha=1 / (step - self._averaged_from + 1))
        # The least or the greatest is not finite if any weight is not: an eighth of the time of testing each.
        ends = [end.double() for p in self._parameters.values() if p.numel() for end in p.aminmax()]
        if not bool(torch.stack(ends).isfinite().all()):
            raise NonFiniteWeightsError(step)

    @torch.no_grad()
    def finish(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(self._average[name])
            parameter.grad = None


@dataclass(frozen=True, slots=True)
class _Draws:
    """The noisy sums of the drawn owners' clipped gradients."""

    model: nn.Module
    data: OwnerBatches
    loss: Loss
    plan: TrainingPlan
    random: SecureRandom
    keeper: BookKeeper | None
    max_items: int
    group: Companions
    grid: Grid

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def sum_at(self, step: int) -> tuple[Gradients, float, float]:
        """Return the sum over the owners of all processes plus the noise.

        With it, return the mean loss, and the number of owners whose gradient was not finite.
        """
        cut = self.plan.truncation and self.plan.truncation.max_batch
        drawn = poisson_sample(self.data.n_owners, self.plan.sample_rate, self.random, step, cut)
        runs = list(micro_batches(drawn.tolist(), self.data.item_counts, self.max_items))
        # Addressed by micro-batch, not by process: dropout is the same for any number of processes.
        seeds = self.random.integers("torch", step, len(runs)).tolist()
        mine = slice(self.group.rank, None, self.group.size)
        total = zero_gradients(self.model)
        if self.group.recall(total, step):
            return total, math.nan, 0.0
        sums = torch.zeros(2, dtype=torch.float64)  # of the losses, and of the owners that count as zero
        for run, seed in zip(runs[mine], seeds[mine], strict=True):
            with _seeded(seed, self.device):
                sums += torch.tensor(self._add_run(run, total, len(runs)), dtype=torch.float64)
        self.group.add_figures(sums)
        self.group.add_up(total, None if self.keeper is None else partial(self._add_noise, step), step)
        return total, float(sums[0]) / drawn.size if drawn.size else math.nan, float(sums[1])

    def _add_noise(self, step: int, total: Mapping[str, Tensor]) -> None:
        add_noise(total, self.grid, self.random, step)

    def _add_run(self, run: Sequence[int], total: Gradients, runs: int) -> tuple[float, int]:
        """Add the clipped gradients of a micro-batch, one of `runs`, to `total`.

        Returns:
            The summed loss, and the number of owners whose gradient was not finite and counts as zero.
        """
        items = self.data.item_counts[run[0]]
        if len(run) > 1 or items <= self.max_items:
            batch = self.data.batch(run).to(self.device)
            loss, clipped = self._clip(batch, len(run), self.plan.max_grad_norm, runs)
            _add(total, clipped.grads)
            return loss, int((~clipped.finite).sum())
        # An owner larger than a micro-batch: its gradient is the sum over its parts, clipped as a whole.
        gradient, loss = zero_gradients(self.model), 0.0
        for start in range(0, items, self.max_items):
            part = range(start, min(start + self.max_items, items))
            batch = self.data.batch(run, part).to(self.device)
            of_part, clipped = self._clip(batch, 1, _UNCLIPPED)
            loss += of_part
            if not bool(clipped.finite.all()):
                return 0.0, 1  # the whole owner counts as zero, however it is divided
            _add(gradient, clipped.grads)
        factor = 1.0
        if self.keeper is not None:
            norm = math.sqrt(sum(float(part.square().sum()) for part in gradient.values()))
            if not math.isfinite(norm):
                return 0.0, 1
            limit = self.keeper.clipping_limit(self.plan.max_grad_norm)
            factor = limit / max(norm, limit)
        _add(total, gradient, factor)
        return loss, 0

    def _clip(
        self, batch: Batch, n_owners: int, max_grad_norm: float, parts: int = 1
    ) -> tuple[float, ClippedSum]:
        """Return the summed loss of a batch and its gradients, clipped if there is a keeper."""
        # Exact types: a subclass may compute something else.
        if self.keeper is not None and type(self.model) is nn.Linear and isinstance(self.loss, ClosedLoss):
            return clip_in_closed_form(
                self.model, self.loss, batch, self.keeper, n_owners, max_grad_norm, parts
            )
        loss = self._backward(batch)
        if self.keeper is not None:
            return loss, self.keeper.owner_clipped_sum(batch.owner_index, n_owners, max_grad_norm, parts)
        return loss, self._unclipped(batch, n_owners)

    def _backward(self, batch: Batch) -> float:
        losses = self.loss(self.model(batch.inputs), batch.targets)
        if losses.shape != batch.weights.shape:
            raise ValueError(
                f"the loss must return one value per item, {tuple(batch.weights.shape)}, "
                f"found {tuple(losses.shape)}"
            )
        weighted = losses * batch.weights.to(losses.dtype)
        weighted.sum().backward()
        return float(weighted.detach().nan_to_num(0.0, 0.0, 0.0).sum())

    def _unclipped(self, batch: Batch, n_owners: int) -> ClippedSum:
        """Return the gradients of the last backward pass."""
        gradients: Gradients = {}
        for name, parameter in trainable_parameters(self.model).items():
            if parameter.grad is not None:
                gradients[name] = parameter.grad.double()
                parameter.grad = None
        if all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
            norms = batch.weights.new_full((n_owners,), math.nan)
            return ClippedSum(gradients, norms, torch.ones_like(norms, dtype=torch.bool))
        with BookKeeper(self.model) as keeper:  # tells the owners apart
            self._backward(batch)
            return keeper.owner_clipped_sum(batch.owner_index, n_owners, _UNCLIPPED)


@torch.no_grad()
def clip_in_closed_form(
    model: nn.Linear,
    loss: ClosedLoss,
    batch: Batch,
    keeper: BookKeeper,
    n_owners: int,
    max_grad_norm: float,
    parts: int = 1,
) -> tuple[float, ClippedSum]:
    """Return the summed loss of a batch, and what a backward pass and `BookKeeper` give.

    Args:
        model: Model that is one linear layer.
        loss: Its loss.
        batch: Items of whole owners, or a part of one.
        keeper: The keeper of the model.
        n_owners: Number of owners.
        max_grad_norm: L2 norm to clip to.
        parts: As in `BookKeeper.owner_clipped_sum`.

    Formal guarantee:
        That of `BookKeeper`.
    """
    if loss.activation is not None and linear_head.takes(model, batch.inputs, batch.products):
        assert batch.products is not None
        whole = HeadBatch(
            *(batch.inputs, batch.targets, batch.weights, batch.owner_index, n_owners, batch.products)
        )
        found = linear_head.clip_and_sum(model, whole, loss.activation, keeper, max_grad_norm, parts)
        if found is not None:
            return found
    outputs = functional.linear(batch.inputs, model.weight, model.bias)
    losses, delta = loss.with_gradient(outputs, batch.targets)
    weights = batch.weights.to(outputs.dtype)
    keeper.keep_linear_pass(batch.inputs, delta.mul_(weights[:, None]), batch.products)
    clipped = keeper.owner_clipped_sum(batch.owner_index, n_owners, max_grad_norm, parts)
    return float(losses.mul_(weights).nan_to_num_(0.0, 0.0, 0.0).sum()), clipped


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def zero_gradients(model: nn.Module) -> Gradients:
    """Return a float64 zero for each trainable parameter, on its device."""
    return {
        name: torch.zeros(p.shape, dtype=torch.float64, device=p.device)
        for name, p in trainable_parameters(model).items()
    }


def _add(total: Gradients, gradients: Gradients, factor: float = 1.0) -> None:
    for name, gradient in gradients.items():
        total[name].add_(gradient, alpha=factor)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Generator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
