"""The audit gate over joint training: the offices' own code is attacked on synthetic owners.

`JointTraining` stands where the gate calls the engine. The offices that do not collude share its owners and
add up their uploads: that is what a coalition is left with when it subtracts all that it has put in itself.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from lexveil.privacy.dp.audit.gate import (
    Claim,
    Finding,
    Randomness,
    Verdict,
    audit_sensitivity,
    run_gate,
)
from lexveil.privacy.dp.audit.synthetic_owners import Probe, default_probes
from lexveil.privacy.dp.batches import Batch, OwnerBatches
from lexveil.privacy.dp.engine import Loss, TrainingPlan, train, trainable_parameters
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Integers, Sharing, plan_noise
from lexveil.privacy.joint.offices import Offices
from lexveil.privacy.joint.summing import Evidence

# Changes what the office of an index trains with.
Change = Callable[[int, TrainingPlan, Offices], tuple[TrainingPlan, Offices]]


@dataclass(frozen=True, slots=True)
class JointTraining:
    """Training by the offices that do not collude, each in a thread, as the gate calls `engine.train`.

    Attributes:
        sharing: The offices, and how many of them collude.
        shift: Index of the office that has the first owner; the next one has the next owner, in turn.
        change: Plants a fault, or a listener; None: the offices' own code as it is.
    """

    sharing: Sharing
    shift: int = 0
    change: Change | None = None

    @property
    def honest(self) -> int:
        """Number of offices that do not collude."""
        return self.sharing.offices - self.sharing.colluders

    def __call__(
        self,
        model: nn.Module,
        data: OwnerBatches,
        loss: Loss,
        plan: TrainingPlan,
        random: SecureRandom,
        *,
        on_step: Callable[[int], None] | None = None,
        max_items: int = 256,
    ) -> None:
        """Train `model` in place, and a copy of it in each other office."""
        weights = sum(one.numel() for one in trainable_parameters(model).values())
        noise = plan_noise(plan.noise_multiplier, plan.max_grad_norm, weights, self.sharing)
        models = [model, *(copy.deepcopy(model) for _ in range(self.honest - 1))]
        table, failures = _Table(self.honest), list[BaseException]()

        def work(index: int) -> None:
            own = type(random)(random.derive(f"office {index}"))
            offices = Offices(_Seat(table, index), _Forgetful(), noise, own, data.n_owners)
            part = _Part(data, range((index - self.shift) % self.honest, data.n_owners, self.honest))
            own_plan = plan
            if self.change is not None:
                own_plan, offices = self.change(index, plan, offices)
            listener = on_step if index == 0 else None
            try:
                table.wait(index)
                train(
                    models[index],
                    part,
                    loss,
                    own_plan,
                    offices.random,
                    on_step=listener,
                    max_items=max_items,
                    group=offices,
                )
            except BaseException as error:
                failures.append(error)
                table.give_up()
            finally:
                table.pass_on(index)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(self.honest)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


def audit_joint_training(
    training: JointTraining,
    randomness: Randomness = SecureRandom,
    *,
    claim: Claim | None = None,
    probes: Sequence[Probe] | None = None,
    seed: int | None = None,
) -> Verdict:
    """Run the audit gate over a training by several offices.

    `sensitivity_of_offices` repeats the test of sensitivity with the owner in each other office in turn.

    It can falsify what the gate can, in any of the honest offices: a share of the noise that is missing,
    too small, or repeated; an office that does not clip. It audits this code, not what another office runs:
    no office can see another's noise.

    Args:
        training: The training that is audited.
        randomness: Creates a source of randomness from a key.
        claim: As in `run_gate`: what the offices claim against the colluding ones.
        probes: As in `run_gate`.
        seed: Seed for tests; None for the system's randomness.

    Formal guarantee:
        That of `Verdict`.
    """
    verdict = run_gate(randomness, claim=claim, probes=probes, seed=seed, training=training)
    dice = np.random.default_rng(seed)
    tested = claim or Claim(1.0, 1.0, 1.0)
    found = [
        audit_sensitivity(
            randomness, dice, tested, probes or default_probes(), replace(training, shift=shift)
        )
        for shift in range(1, training.honest)
    ]
    figures = {f"{n}_office_{i}": value for i, one in enumerate(found, 1) for n, value in one.figures.items()}
    held = min((one.p_value for one in found), default=1.0)
    return replace(verdict, findings=(*verdict.findings, Finding("sensitivity_of_offices", held, figures)))


@dataclass(frozen=True, slots=True)
class _Part:
    """The owners of one office."""

    data: OwnerBatches
    owners: range

    @property
    def n_owners(self) -> int:
        return len(self.owners)

    @property
    def item_counts(self) -> list[int]:
        counts = self.data.item_counts
        return [counts[owner] for owner in self.owners]

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        return self.data.batch([self.owners[owner] for owner in owners], items)


class _Forgetful(Journal):
    """Keeps nothing: no run of the gate goes on after an interruption."""

    def __init__(self) -> None:
        pass

    def read(self, step: int) -> Evidence | None:
        del step

    def keep(self, step: int, evidence: Evidence) -> None:
        del step, evidence

    def keep_upload(self, step: int, upload: Integers) -> None:
        del step, upload

    def read_upload(self, step: int) -> Integers | None:
        del step


class _Table:
    """Where the offices of one process add up. One computes at a time, in the order of their indices.

    So whatever they share (the generator of dropout, what a test records) is used by one at a time.
    """

    def __init__(self, offices: int) -> None:
        self._offices, self._turn, self._given_up = offices, 0, False
        self._uploads: list[Integers] = []
        self._total: Integers = np.zeros(0, np.int64)
        self._changed = threading.Condition()

    def wait(self, index: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == index or self._given_up)
            if self._given_up:
                raise RuntimeError("another office has failed")

    def pass_on(self, index: int) -> None:
        with self._changed:
            self._turn = (index + 1) % self._offices
            self._changed.notify_all()

    def give_up(self) -> None:
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def add_up(self, index: int, upload: Integers) -> Integers:
        self._uploads.append(upload)
        if len(self._uploads) == self._offices:
            self._total, self._uploads = np.sum(self._uploads, axis=0), []
        self.pass_on(index)
        self.wait(index)
        return self._total


@dataclass(frozen=True, slots=True)
class _Seat:
    """`Summing` of one office at the table."""

    table: _Table
    index: int

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        del step
        assert upload is not None
        return self.table.add_up(self.index, upload), Evidence((), ())

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        raise NotImplementedError
