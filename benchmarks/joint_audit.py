"""How well the joint gate finds faults of one office's code: detection rates, false alarms, CPU seconds.

    python -m benchmarks.joint_audit [--seeds 20] [--offices 3] [--colluders 1] [--keep FILE]

Each fault is put into what one of the honest offices does, another one from seed to seed; the gate then runs
as `lexveil audit` runs it on a joint model. The offices are threads of one process here;
`tests/guarantees/test_joint_audit.py` finds faults among real processes, over TLS and MPyC. `gate_seconds` is
the CPU time of the first gate, calibration of the noise included. `--keep` writes each run to a file as it is
ready; given again, the command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.contract import Figure, Outcome, run
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.audit import JointTraining, audit_joint_training
from lexveil.privacy.joint.noise import Sharing
from lexveil.privacy.joint.offices import Offices

SEEDS = 20


class StaleRandom(SecureRandom):
    """Draws the same share of noise in each step."""

    def integers(self, label: str, step: int, n: int) -> Any:
        if label.startswith("noise-share/"):
            _, _, part = label.split("/", 2)
            return super().integers(f"noise-share/{part}", 0, n)
        return super().integers(label, step, n)


Fault = Callable[[TrainingPlan, Offices], tuple[TrainingPlan, Offices]]


def _no_share(plan: TrainingPlan, offices: Offices) -> tuple[TrainingPlan, Offices]:
    return plan, replace(offices, noise=replace(offices.noise, deviation=1))


def _half_share(plan: TrainingPlan, offices: Offices) -> tuple[TrainingPlan, Offices]:
    return plan, replace(offices, noise=replace(offices.noise, deviation=offices.noise.deviation // 2))


def _unclipped(plan: TrainingPlan, offices: Offices) -> tuple[TrainingPlan, Offices]:
    return replace(plan, max_grad_norm=3 * plan.max_grad_norm), offices


def _stale(plan: TrainingPlan, offices: Offices) -> tuple[TrainingPlan, Offices]:
    return plan, replace(offices, random=StaleRandom(offices.random.export_key()))


FAULTS: dict[str, Fault] = {
    "no_share": _no_share,
    "half_share": _half_share,
    "clip_missed_by_3": _unclipped,
    "stale_noise": _stale,
}


def build_faulty(sharing: Sharing, fault: Fault, office: int) -> JointTraining:
    """Return a training in which one office has a fault."""
    return JointTraining(
        sharing,
        change=lambda index, plan, offices: fault(plan, offices) if index == office else (plan, offices),
    )


@dataclass(frozen=True)
class Run:
    """What the gate has said of one run.

    Attributes:
        name: the fault, or "none".
        seed: the seed.
        failed: tests that failed.
        lower_bound: lower bound of epsilon.
        seconds: CPU seconds.
    """

    name: str
    seed: int
    failed: list[str]
    lower_bound: float
    seconds: float


def watched(sharing: Sharing, name: str, seed: int) -> Run:
    """Run the gate over correct code, or over that of offices of which one has a fault."""
    training = JointTraining(sharing)
    if name in FAULTS:
        training = build_faulty(sharing, FAULTS[name], seed % training.honest)
    start = time.process_time()
    verdict = audit_joint_training(training, seed=seed)
    seconds = time.process_time() - start
    return Run(name, seed, list(verdict.failed), verdict.epsilon_lower_bound, seconds)


def measure(arguments: argparse.Namespace) -> Outcome:
    """Measure all faults with `--seeds` seeds each, and correct code with as many."""
    torch.set_num_threads(1)
    seeds = list(range(arguments.seeds))
    sharing = Sharing(arguments.offices, arguments.colluders)
    kept: Path | None = arguments.keep
    lines = kept.read_text().splitlines() if kept is not None and kept.exists() else []
    runs = {(run.name, run.seed): run for run in (Run(**json.loads(line)) for line in lines)}
    for seed in seeds:
        for name in ("none", *FAULTS):
            if (name, seed) in runs:
                continue
            runs[name, seed] = watched(sharing, name, seed)
            if kept is not None:
                with kept.open("a") as file:
                    file.write(json.dumps(asdict(runs[name, seed])) + "\n")
    right = [runs["none", seed] for seed in seeds]
    figures = {
        "gate_seconds": Figure(right[0].seconds, 60, "s", "lower"),
        "false_alarms": Figure(sum(bool(run.failed) for run in right), 0, "runs", "lower"),
        "highest_lower_bound": Figure(max(run.lower_bound for run in right), 1.0, "epsilon", "lower"),
    }
    tests: dict[str, dict[str, int]] = {}
    for name in FAULTS:
        found = [runs[name, seed].failed for seed in seeds]
        figures[f"found_{name}"] = Figure(sum(map(bool, found)), len(seeds), "runs", "higher")
        tests[name] = dict(Counter(test for failed in found for test in failed))
    sizes = {"seeds": len(seeds), "offices": sharing.offices, "colluders": sharing.colluders}
    return Outcome(figures, sizes, seeds, {"runs_in_which_a_test_failed": tests})


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each fault; default {SEEDS}")
    parser.add_argument("--offices", type=int, default=3)
    parser.add_argument("--colluders", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; the command goes on from it")


if __name__ == "__main__":
    run(__doc__, measure, options)
