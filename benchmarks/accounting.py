"""Epsilon and its inverse against dp-accounting's PLD accountant at discretization 1e-4.

Runs are drawn from a grid: sample rates .001 to 1 and steps 1 to 10,000 (log-uniform; every tenth run is
unsampled), delta 1e-4 to 1e-8, target epsilons .1 to 20. For each, the noise for the target is computed
with cold caches, then its epsilon with cold caches, then the accountant's. Seconds are CPU time of this
thread, libraries imported. `wide_*` are the same for rates down to 1e-4 and up to 100,000 steps, where one
step reveals almost nothing and only a fine interval resolves it: shown, not promised.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contract import Figure, Outcome, run
from lexveil.privacy.dp import accounting, renyi, sampled_gaussian

if TYPE_CHECKING:
    from dp_accounting import DpEvent

SEED = 7


@dataclass(frozen=True, slots=True)
class _Measured:
    ratio: float
    share: float
    epsilon_seconds: float
    inverse_seconds: float


def _accountant(noise: float, rate: float, steps: int, delta: float) -> float:
    return _epsilon_of(sampled_gaussian.dp_event(noise, rate, steps), delta)


def _epsilon_of(event: DpEvent, delta: float) -> float:
    from dp_accounting import NeighboringRelation, pld

    accountant = pld.PLDAccountant(
        NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=accounting.FINEST
    )
    return float(accountant.compose(event).get_epsilon(delta))


def _measure(source: random.Random, lowest_rate: float, most_steps: int) -> _Measured:
    rate = 1.0 if source.random() < 0.1 else math.exp(source.uniform(math.log(lowest_rate), 0))
    steps = int(math.exp(source.uniform(0, math.log(most_steps))))
    delta = 10 ** -source.uniform(4, 8)
    target = math.exp(source.uniform(math.log(0.1), math.log(20)))
    accounting.clear_caches()
    start = time.process_time()
    noise = accounting.noise_multiplier(target, rate, steps, delta)
    inverted = time.process_time()
    accounting.clear_caches()
    again = time.process_time()
    epsilon = accounting.epsilon(noise, rate, steps, delta)
    done = time.process_time()
    ratio = epsilon / _accountant(noise, rate, steps, delta)
    return _Measured(ratio, epsilon / target, done - again, inverted - start)


def _cut_epsilons(deviations: int) -> tuple[float, float, float]:
    """Epsilon of a run with a cap: ours, dp-accounting's, and by Renyi DP."""
    import dp_accounting

    owners, rate, steps, delta = 800, 0.5, 60, 1e-5
    most = int(owners * rate + deviations * math.sqrt(owners * rate * (1 - rate)))
    noise = accounting.noise_multiplier(2.72, rate, steps, delta)
    cap = sampled_gaussian.Truncation(most, owners)
    event = dp_accounting.TruncatedSubsampledGaussianDpEvent(owners + 1, rate, most, noise)
    theirs = _epsilon_of(dp_accounting.SelfComposedDpEvent(event, steps), delta)
    by_renyi = renyi.rdp_epsilon(noise, rate, steps, delta, truncation=cap)
    return accounting.epsilon(noise, rate, steps, delta, truncation=cap), theirs, by_renyi


def measure(arguments: argparse.Namespace) -> Outcome:
    """Measure everything: some minutes, most of them in the accountant."""
    source = random.Random(arguments.seed)
    accounting.noise_multiplier(1.0, 0.1, 10, 1e-5)  # imports
    found = [_measure(source, 1e-3, 10_000) for _ in range(arguments.runs)]
    wide = [_measure(source, 1e-4, 100_000) for _ in range(arguments.runs // 4)]
    figures: dict[str, Figure] = {}
    for prefix, runs, promised in (("", found, True), ("wide_", wide, False)):
        ratios = [m.ratio for m in runs]
        figures |= {
            f"{prefix}epsilon_over_pld_max": Figure(max(ratios), 1.01, "x", "lower"),
            f"{prefix}epsilon_over_pld_min": Figure(min(ratios), 1.0, "x", "higher"),
            f"{prefix}inverse_over_target_max": Figure(max(m.share for m in runs), 1.0, "x", "lower"),
            f"{prefix}inverse_over_target_min": Figure(min(m.share for m in runs), 0.99, "x", "higher"),
        }
        for name, seconds in (
            ("epsilon", [m.epsilon_seconds for m in runs]),
            ("inverse", [m.inverse_seconds for m in runs]),
        ):
            figures[f"{prefix}{name}_seconds_p50"] = Figure(statistics.median(seconds), None, "s", "lower")
            target = 0.5 if promised else None
            figures[f"{prefix}{name}_seconds_max"] = Figure(max(seconds), target, "s", "lower")
    for deviations in range(4):
        ours, theirs, renyi = _cut_epsilons(deviations)
        name = f"cut_{deviations}sd"
        figures[f"{name}_epsilon"] = Figure(ours, None, "epsilon", "lower")
        figures[f"{name}_over_dp_accounting"] = Figure(ours / theirs, 1.0, "x", "lower")
        figures[f"{name}_over_renyi"] = Figure(ours / renyi, 1.0, "x", "lower")
    return Outcome(figures, {"runs": len(found), "wide_runs": len(wide)}, [arguments.seed])


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=100, help="runs drawn from the grid")
    parser.add_argument("--seed", type=int, default=SEED)


if __name__ == "__main__":
    run(__doc__, measure, _options)
