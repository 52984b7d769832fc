"""How well the audit's gate finds the faults that it targets: detection rates, false alarms, CPU seconds.

Each fault is put into the real code (a source of noise that halves it, a clip that is called with three times
its norm); the gate then runs as a user's does. `seeds` different runs of each. `gate_seconds` is the CPU time
of a whole gate in one thread, calibration of the noise included, the largest of all runs on right code; the
import of libraries is left out. `false_alarms` counts right code that failed: at most 1e-4 of runs by the
gate's level, so none may be seen here. `one_run_*` are the rates of the one-run audit alone, which is only
one of the tests: it is sound against any algorithm and pays for that in power. `one_run_profile_*` are those
of the same run judged by the whole privacy profile (f-DP).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract import Figure, Outcome, run
from lexveil.privacy.dp import accounting, engine
from lexveil.privacy.dp.audit.gate import Randomness, Verdict, run_gate
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum
from lexveil.privacy.dp.randomness import SecureRandom

SEEDS = 20
# The engine requests a sum without a clip where it clips an owner's parts together itself.
_NO_CLIP = 1e300
_clipped_sum = BookKeeper.owner_clipped_sum
_add = engine._add  # pyright: ignore[reportPrivateUsage]


class NoNoise(SecureRandom):
    """Adds nothing."""

    def whole_normals(self, label: str, step: int, n: int, parts: int = 4) -> Iterator[Any]:
        return (0.0 * piece for piece in super().whole_normals(label, step, n, parts))


class HalfNoise(SecureRandom):
    """Adds half of what was claimed."""

    def whole_normals(self, label: str, step: int, n: int, parts: int = 4) -> Iterator[Any]:
        return (0.5 * piece for piece in super().whole_normals(label, step, n, parts))


class TwiceTheRate(SecureRandom):
    """Draws each owner twice as often."""

    def uniform(self, label: str, step: int, n: int) -> Any:
        drawn = super().uniform(label, step, n)
        return drawn / 2 if label == "poisson-sample" else drawn


class SameNoise(SecureRandom):
    """Adds the same noise in each step, so that a difference of two iterates has none."""

    def whole_normals(self, label: str, step: int, n: int, parts: int = 4) -> Iterator[Any]:
        return super().whole_normals(label, 0, n, parts)


def _looser(keeper: BookKeeper, index: Tensor, n_owners: int, max_grad_norm: float, *more: Any) -> ClippedSum:
    norm = max_grad_norm if max_grad_norm > _NO_CLIP else 3 * max_grad_norm
    return _clipped_sum(keeper, index, n_owners, norm, *more)


def _item_by_item(
    keeper: BookKeeper, index: Tensor, n_owners: int, max_grad_norm: float, *more: Any
) -> ClippedSum:
    if max_grad_norm > _NO_CLIP:
        return _clipped_sum(keeper, index, n_owners, max_grad_norm, *more)
    return _clipped_sum(keeper, torch.arange(len(index)), len(index), max_grad_norm, *more)


def _without_factor(total: dict[str, Tensor], gradients: dict[str, Tensor], _factor: float = 1.0) -> None:
    _add(total, gradients)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: another source of randomness, or a replaced part of the code."""

    name: str
    randomness: Randomness = SecureRandom
    place: Any = None
    part: str = ""
    other: Callable[..., Any] | None = None

    @contextmanager
    def present(self) -> Generator[None]:
        """The fault is in the code until the block ends."""
        before = getattr(self.place, self.part) if self.place else None
        if self.place:
            setattr(self.place, self.part, self.other)
        try:
            yield
        finally:
            if self.place:
                setattr(self.place, self.part, before)


FAULTS = (
    Fault("no_noise", NoNoise),
    Fault("clip_missed_by_3", place=BookKeeper, part="owner_clipped_sum", other=_looser),
    Fault("twice_the_rate", TwiceTheRate),
    Fault("clipped_item_by_item", place=BookKeeper, part="owner_clipped_sum", other=_item_by_item),
    Fault("large_owner_unclipped", place=engine, part="_add", other=_without_factor),
    Fault("half_noise", HalfNoise),
    Fault("same_noise_each_step", SameNoise),
)
RIGHT = Fault("none")
TARGETS = {**dict.fromkeys((fault.name for fault in FAULTS), 1.0), "half_noise": 0.95}


def watched(fault: Fault, seed: int) -> tuple[Verdict, float]:
    """The gate's verdict on the code with the fault, and its CPU seconds."""
    # A user's process calibrates the noise once, so it belongs to what a gate costs.
    accounting._pld_epsilon.cache_clear()  # pyright: ignore[reportPrivateUsage]
    start = time.process_time()
    with fault.present():
        verdict = run_gate(fault.randomness, seed=seed)
    return verdict, time.process_time() - start


def measure(arguments: argparse.Namespace) -> Outcome:
    """Measure all faults with `--seeds` seeds each, and correct code with as many."""
    torch.set_num_threads(1)
    seeds = list(range(arguments.seeds))
    watched(RIGHT, 0)  # imports
    right = [watched(RIGHT, seed) for seed in seeds]
    bounds = [verdict.epsilon_lower_bound for verdict, _ in right]
    by_profile = [verdict.profile_lower_bound for verdict, _ in right]
    figures = {
        "gate_seconds": Figure(max(seconds for _, seconds in right), 60, "s", "lower"),
        "false_alarms": Figure(sum(not v.passed for v, _ in right), 0, "runs", "lower"),
        "highest_lower_bound": Figure(max(bounds), 1.0, "epsilon", "lower"),
        "highest_profile_bound": Figure(max(by_profile), 1.0, "epsilon", "lower"),
        "mean_lower_bound": Figure(fmean(bounds), None, "epsilon", "higher"),
        "mean_profile_bound": Figure(fmean(by_profile), None, "epsilon", "higher"),
    }
    tests: dict[str, dict[str, int]] = {}
    for fault in FAULTS:
        verdicts = [watched(fault, seed)[0] for seed in seeds]
        by_test = Counter(name for verdict in verdicts for name in verdict.failed)
        found = sum(not verdict.passed for verdict in verdicts) / len(seeds)
        figures[f"found_{fault.name}"] = Figure(found, TARGETS[fault.name], "share", "higher")
        for test in ("one_run", "one_run_profile"):
            figures[f"{test}_{fault.name}"] = Figure(by_test[test] / len(seeds), None, "share", "higher")
        tests[fault.name] = dict(by_test)
    alarms = Counter(name for verdict, _ in right for name in verdict.failed)
    details = {
        "runs_in_which_a_test_failed": tests,
        "alarms_by_test": dict(alarms),
        "alpha": right[0][0].alpha,
    }
    return Outcome(figures, {"seeds": len(seeds), "faults": len(FAULTS)}, seeds, details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each fault; default {SEEDS}")


if __name__ == "__main__":
    run(__doc__, measure, _options)
