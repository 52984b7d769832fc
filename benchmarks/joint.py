"""What training together is worth: micro-F1 of five offices on real contract provisions, by protection.

    python -m benchmarks.joint [--quick] [--epsilons 8 3] [--representation embedding|legal-1]
        [--cache FOLDER]
    python -m benchmarks.joint --only step [--quick] [--protections sum office]

The contracts of contract_provisions are dealt out to five offices by the direction in which their provisions
differ most, so that each office has its own kind of contracts. Each office trains the linear head of the
shipped recipe on its own contracts with its own key: alone, or with the others through the code of
`lexveil join`, whose sums are here those of threads of one process. `pooled` is one office with all
contracts. Unit owner (the contract), delta 1e-4, the same epsilon everywhere. `sum_t2` is safe against two
offices that tell each other what they see; `office` trusts no other office. Texts are masked as in
`dp_utility`. `--only step` measures what a step costs real processes (`joint_step`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks import joint_step
from benchmarks.contract import Figure, Outcome, run
from benchmarks.dp_utility import DELTA, _encoded, _masked, _split
from benchmarks.encrypted_real import CORPORA, PROVISIONS, records_of
from lexveil.nlp.encoders.config import Representation
from lexveil.nlp.encoders.documents import extract
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Split
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Integers, Sharing, plan_noise
from lexveil.privacy.joint.offices import Offices
from lexveil.privacy.joint.summing import Evidence

OFFICES = 5
SEEDS = (1, 2, 3)
# Protection -> number of offices whose noise does not count.
PROTECTIONS = {"sum_t0": 0, "sum_t2": 2, "office": 4}
TARGETS = {
    ("sum_t0", 8.0): 0.78, ("sum_t0", 3.0): 0.735, ("sum_t2", 8.0): 0.76, ("sum_t2", 3.0): 0.715,
    ("office", 8.0): 0.73, ("office", 3.0): 0.675,
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=["step"], help="what a step costs, nothing else")
    parser.add_argument("--protections", nargs="+", choices=["sum", "office"], default=["sum", "office"])
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    parser.add_argument("--epsilons", nargs="+", type=float, default=[8.0, 3.0])
    parser.add_argument("--representation", choices=get_args(Representation), default="embedding")
    parser.add_argument("--cache", type=Path, help="folder that keeps masked texts and embeddings")


def measure(arguments: argparse.Namespace) -> Outcome:
    if arguments.only == "step":
        figures, details = joint_step.measure_steps(arguments.protections, 6 if arguments.quick else 20)
        sizes = {"offices": OFFICES, "weights": joint_step.WEIGHTS, "owners": joint_step.OWNERS * OFFICES}
        return Outcome(figures, sizes, [0], details)
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    records = _masked(list(records_of(PROVISIONS)), arguments.cache)
    encoded = _encoded(records, "embedding", arguments.representation, arguments.cache)
    split = _split(records, encoded, "owner", None)
    parts = deal_out(split)
    seeds = SEEDS[:1] if arguments.quick else SEEDS
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {"owners_by_office": [part.n_owners for part in parts]}

    def put(name: str, epsilon: float, scores: Sequence[float]) -> None:
        target = TARGETS.get((name, epsilon)) if arguments.representation == "embedding" else None
        figures[f"{name}_epsilon_{epsilon:g}"] = Figure(
            statistics.fmean(scores), target, "micro-F1", "higher"
        )
        details[f"{name}_epsilon_{epsilon:g}"] = [round(score, 4) for score in scores]

    for epsilon in arguments.epsilons:
        settings = TrainSettings(
            model="linear", epsilon=epsilon, delta=DELTA["owner"], representation=arguments.representation
        )
        put("pooled", epsilon, [train_alone(split, settings, seed) for seed in seeds])
        for name, colluders in PROTECTIONS.items():
            put(name, epsilon, [train_together(split, parts, settings, colluders, seed) for seed in seeds])
        put("alone", epsilon, [train_alone(part, settings, seed) for part in parts for seed in seeds])
    sizes = {"owners": split.n_owners, "training_items": len(split.train), "test_items": len(split.held_out)}
    return Outcome(figures, sizes | {"offices": OFFICES}, list(seeds), details)


def deal_out(split: Split) -> list[Split]:
    """Return each office's contracts: neighbors along the direction in which contracts differ most."""
    owners = sorted({row.owner for row in split.train})
    of: dict[str, list[Any]] = {owner: [] for owner in owners}
    for row in split.train:
        of[row.owner].append(row.encoded.embedding)
    means = np.stack([np.mean(of[owner], axis=0) for owner in owners])
    direction = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[0][:, 0]
    dealt = [set(part.tolist()) for part in np.array_split(np.array(owners)[np.argsort(direction)], OFFICES)]
    return [replace(split, train=tuple(row for row in split.train if row.owner in part)) for part in dealt]


def train_alone(split: Split, settings: TrainSettings, seed: int) -> float:
    plan = plan_training(settings, split)
    model, _ = fit(
        build_model_config(settings, split), split, settings, plan, SecureRandom(seed.to_bytes(32, "big"))
    )
    return score(model, split)


def score(model: Any, split: Split) -> float:
    chosen = extract(model, [row.encoded for row in split.held_out]).logits.argmax(axis=1)
    return float((chosen == np.array([split.labels.index(row.label or "") for row in split.held_out])).mean())


@dataclass
class Meeting:
    """Adds up the uploads of threads."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(OFFICES))
    uploads: dict[tuple[int, int], Integers] = field(default_factory=dict)


@dataclass(frozen=True)
class Sitting:
    """`Summing` of one thread."""

    index: int
    meeting: Meeting

    def add_up(self, step: int, upload: Integers) -> tuple[Integers, Evidence]:
        self.meeting.uploads[step, self.index] = upload
        self.meeting.barrier.wait()
        return np.sum([self.meeting.uploads[step, one] for one in range(OFFICES)], axis=0), Evidence((), ())

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        raise NotImplementedError


def train_together(
    split: Split, parts: Sequence[Split], settings: TrainSettings, colluders: int, seed: int
) -> float:
    plan, config = plan_training(settings, split), build_model_config(settings, split)
    weights = (config.feature_dim + 1) * len(config.labels)
    noise = plan_noise(plan.noise_multiplier, plan.max_grad_norm, weights, Sharing(OFFICES, colluders))
    spent = accounting.epsilon(noise.noise_multiplier, plan.sample_rate, plan.steps, settings.delta)
    assert spent <= settings.epsilon
    total = OFFICES**0.5 * noise.deviation * 2.0**-noise.bits / plan.max_grad_norm
    plan = replace(plan, learning_rate=plan.learning_rate * plan.noise_multiplier / total)
    meeting, models = Meeting(), {}

    def office(index: int, folder: Path) -> None:
        random = SecureRandom(bytes([seed, index]) * 16)
        journal = Journal(folder / str(index), bytes(32))
        offices = Offices(Sitting(index, meeting), journal, noise, random, split.n_owners)
        try:
            models[index] = fit(config, parts[index], settings, plan, random, group=offices)[0]
        except BaseException:
            meeting.barrier.abort()
            raise

    with tempfile.TemporaryDirectory() as name:
        threads = [threading.Thread(target=office, args=(one, Path(name))) for one in range(OFFICES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return score(models[0], split)


if __name__ == "__main__":
    run(__doc__, measure, options)
