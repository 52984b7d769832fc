"""Attacks on a joint training by role: what another office, or several, read of this office's people.

The attacker has all that the role sees and, besides, this office's documents to compare with. Each attack is
also made on updates without noise, which shows that it works. Results are unprotected.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import ModelConfig, takes_tokens
from lexveil.nlp.encoders.inputs import TokenBatch
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.lstm import TokenLSTM
from lexveil.nlp.encoders.models import build_model
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import OwnerData, Split
from lexveil.pipeline.training.objectives import build_objective
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.audit.attacks import Membership, measure_membership
from lexveil.privacy.dp.audit.leakage import find_in_span, read_lone_class, read_lone_row
from lexveil.privacy.dp.batches import Batch
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper
from lexveil.privacy.dp.engine import Loss, TrainingPlan, train, trainable_parameters
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.dp.sampling import poisson_sample
from lexveil.privacy.joint.noise import Integers, SharedNoise
from lexveil.privacy.joint.offices import fill

_MOST_LONE = 100
_READ = 0.999
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class LoneOwner:
    """What is read of an owner who is the only one in a step. Shares of owners.

    Attributes:
        owners: number of owners that were attacked.
        read: rows that were read (cosine above .999), or, of a model over tokens, tokens that were found.
        classes: classes that were read; a guess of the most frequent one is right for `most_frequent`.
        most_frequent: share of the most frequent class.
        recognized: owners recognized among all that were attacked; by chance, one in `owners`.
    """

    owners: int
    read: float
    classes: float
    most_frequent: float
    recognized: float


@dataclass(frozen=True, slots=True)
class JointCourse:
    """A joint training as an attacker sees it.

    Attributes:
        config: configuration of the model.
        plan: plan of the steps.
        noise: the grid and the shares of noise.
        owners: number of owners of all offices.
        totals: returns the opened sum of a step.
    """

    config: ModelConfig
    plan: TrainingPlan
    noise: SharedNoise
    owners: int
    totals: Callable[[int], Integers] = field(repr=False)


def compute_epsilon(charge: TrainingPlan, noise: SharedNoise, shares: int, delta: float) -> float:
    """Return the epsilon of a training of which so many shares of noise are left.

    Args:
        charge: plan as the ledger charges it.
        noise: the grid and the shares.
        shares: number of shares that an attacker cannot subtract.
        delta: delta.
    """
    return accounting.epsilon(
        replace(noise, honest=shares).noise_multiplier, charge.sample_rate, charge.steps, delta
    )


def attack_lone_owners(
    course: JointCourse, train_settings: TrainSettings, split: Split, shares: int, seed: int = 0
) -> LoneOwner:
    """Attack the first step as if one owner of this office were the only one drawn in any office.

    Args:
        course: the training.
        train_settings: settings of the training.
        split: documents of this office.
        shares: number of shares of noise in what the attacker sees; 0: none.
        seed: seed of the noise.
    """
    target, loss = _start(course.config, train_settings)
    data = OwnerData(split, course.config.kind, 1)
    chosen = range(min(_MOST_LONE, data.n_owners))
    dice = np.random.default_rng(seed)
    deviation = shares**0.5 * course.noise.deviation * 2.0**-course.noise.bits
    clipped = [_gradient(target, loss, data.batch([owner]), course.plan.max_grad_norm) for owner in chosen]
    flat = torch.stack([torch.cat([part.flatten() for part in one.values()]) for one in clipped])
    lengths = flat.norm(dim=1)
    read, classes, recognized = 0.0, 0, 0
    labels: list[int] = []
    for owner in chosen:
        noise = torch.from_numpy(dice.normal(0, deviation, flat.shape[1])) if shares else 0.0
        seen_flat = flat[owner] + noise
        seen = _split_like(seen_flat, clipped[owner])
        batch = data.batch([owner])
        read += _read(target, seen, batch)
        output = seen[_list_matrices(target)[-1]]
        label = int(batch.targets[0]) if batch.targets.ndim == 1 else int(batch.targets[0].argmax())
        labels.append(label)
        classes += read_lone_class(output) == label
        recognized += int(((flat @ seen_flat) / lengths).argmax()) == owner
    count = len(chosen)
    frequent = max(labels.count(label) for label in set(labels)) / count
    return LoneOwner(count, read / count, classes / count, frequent, recognized / count)


def attack_membership(
    course: JointCourse, train_settings: TrainSettings, split: Split, delta: float, *, raw: bool = False
) -> Membership | None:
    """Attack every step: does the sum point where an owner's gradient does?

    The score of an owner is the sum, over the steps, of the inner product of the opened sum with the owner's
    clipped gradient at the weights of that step. Owners held out are those that do not take part.

    Args:
        course: the training.
        train_settings: settings of the training.
        split: documents of this office.
        delta: delta of the claim.
        raw: attack sums of this office alone, without noise, which shows that the attack works.
    """
    if takes_tokens(course.config.kind):
        return None
    max_items = train_settings.max_items_per_owner
    members = OwnerData(split, course.config.kind, max_items)
    if not split.held_out:
        return None
    others = OwnerData(replace(split, train=split.held_out, held_out=()), course.config.kind, max_items)
    target, loss = _start(course.config, train_settings)
    clean = copy.deepcopy(target)
    groups = [(data.batch(range(data.n_owners)), data.n_owners) for data in (members, others)]
    scores = [np.zeros(count) for _, count in groups]
    random, norm = SecureRandom(bytes(32)), course.plan.max_grad_norm

    def look(step: int, total: Mapping[str, Tensor]) -> None:
        clean.load_state_dict(target.state_dict())
        seen = total
        if raw:
            drawn = poisson_sample(members.n_owners, course.plan.sample_rate, random, step).tolist()
            if not drawn:
                return
            seen = _gradient(clean, loss, members.batch(drawn), norm, len(drawn))
        for found, (batch, count) in zip(scores, groups, strict=True):
            found += _project(clean, loss, batch, count, seen, norm)

    replay = _Replay(course, look)
    train(target, members, loss, course.plan, SecureRandom(), group=replay)
    return measure_membership(scores[0], scores[1], delta, _CONFIDENCE, np.random.default_rng(0))


class _Replay:
    """`Companions` that go through the opened sums again, and let an attacker look at each."""

    rank, size = 0, 1

    def __init__(self, course: JointCourse, look: Callable[[int, Mapping[str, Tensor]], None]) -> None:
        self._course, self._look = course, look

    def count_owners(self, n_owners: int) -> int:
        del n_owners
        return self._course.owners

    def copy_from_first(self, tensors: object) -> None:
        del tensors

    def add_figures(self, figures: Tensor) -> None:
        del figures

    def recall(self, total: Mapping[str, Tensor], step: int) -> bool:
        fill(total, self._course.totals(step), self._course.noise.bits)
        self._look(step, total)
        return True

    def add_up(self, total: Mapping[str, Tensor], add_noise: object, step: int) -> None:
        raise AssertionError("all steps are complete")


def _start(config: ModelConfig, train_settings: TrainSettings) -> tuple[nn.Module, Loss]:
    encoder = load_encoder(train_settings)
    model = build_model(config, encoder)
    start_from_labels(model, encoder)
    return build_objective(model)


def _gradient(target: nn.Module, loss: Loss, batch: Batch, norm: float, owners: int = 1) -> dict[str, Tensor]:
    """Return the sum of the clipped gradients of the owners of a batch."""
    with BookKeeper(target) as keeper:
        (loss(target(batch.inputs), batch.targets) * batch.weights).sum().backward()
        return keeper.owner_clipped_sum(batch.owner_index, owners, norm).grads


def _project(
    clean: nn.Module, loss: Loss, batch: Batch, owners: int, seen: Mapping[str, Tensor], norm: float
) -> np.ndarray:
    """Return the inner product of each owner's clipped gradient with a sum. Shape: (owners,)."""
    with BookKeeper(clean) as keeper:
        (loss(clean(batch.inputs), batch.targets) * batch.weights).sum().backward()
        norms = keeper.owner_clipped_sum(batch.owner_index, owners, norm).norms
    point = {name: one.detach() for name, one in trainable_parameters(clean).items()}
    along = {name: seen[name].to(one.dtype) for name, one in point.items()}

    def losses(parameters: dict[str, Tensor]) -> Tensor:
        return loss(torch.func.functional_call(clean, parameters, (batch.inputs,)), batch.targets)

    derivative = torch.func.jvp(losses, (point,), (along,))[1].double() * batch.weights
    by_owner = torch.zeros(owners, dtype=torch.float64).index_add(0, batch.owner_index, derivative.detach())
    return (by_owner * (norm / norms.clamp(min=norm))).numpy()


def _list_matrices(target: nn.Module) -> list[str]:
    """Return the names of the weights of layers, from the first layer on."""
    return [name for name, one in trainable_parameters(target).items() if one.ndim == 2]


def _split_like(flat: Tensor, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    pieces = flat.split([part.numel() for part in parts.values()])
    return {name: piece.view(parts[name].shape) for name, piece in zip(parts, pieces, strict=True)}


def _read(target: nn.Module, seen: Mapping[str, Tensor], batch: Batch) -> float:
    """Return the share of what the first layer has read of a lone owner that its gradient gives away."""
    inputs = batch.inputs
    first = seen[_list_matrices(target)[0]]
    if isinstance(inputs, TokenBatch):
        body = next(module for module in target.modules() if isinstance(module, TokenLSTM))
        ids = inputs.ids[0, : int(inputs.lengths[0])]
        ids = ids.unique()
        table = body._embed(torch.arange(len(body.get_buffer("table"))))  # pyright: ignore[reportPrivateUsage]
        found = find_in_span(first, table, len(ids))
        return float(torch.isin(ids, found).double().mean())
    row = torch.as_tensor(inputs[0]).double()
    return float(abs(float(read_lone_row(first) @ row / row.norm())) > _READ)
