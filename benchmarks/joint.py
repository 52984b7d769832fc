"""What training together is worth: micro-F1 of five offices on real contract provisions, by protection.

    python -m benchmarks.joint [--quick] [--epsilons 8 3] [--representation embedding|legal-1]
        [--rows pooled sum_t0 ...] [--corpus contract_provisions|cuad_clauses] [--cache FOLDER]
    python -m benchmarks.joint --weak 2 [--mislabeled 1] [--quick]
    python -m benchmarks.joint --only step [--quick] [--protections sum office cyclic he]

The contracts of a corpus are dealt out to five offices by the direction in which their provisions
differ most, so that each office has its own kind of contracts. Each office trains the linear head of the
shipped recipe on its own contracts with its own key: alone, or with the others through the code of
`lexveil join`, whose sums are here those of threads of one process. `pooled` is one office with all
contracts. Unit owner (the contract), delta 1e-4, the same epsilon everywhere. `sum_t2` is safe against two
offices that tell each other what they see; `office` trusts no other office; `theta_30` and
`theta_10` are the same, and the largest 30 or 10 % of each noisy upload are sent. Texts are masked as in
`dp_utility`; where the corpus has no test part, a fifth of the contracts is held out. `once` is one message,
`cyclic` one office after the other. With `--weak`, so many offices have drawn at random the classes of a
share of their documents (`--mislabeled`). `even`: all count the same; `weighed`: all have released a score of
epsilon .5 (`lexveil join offer --score`), and count by it; `without`: the others train without them.
`--only step` measures what a step costs real processes (`joint_step`).
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks import joint_step
from benchmarks.contract import Figure, Outcome, make_folder, run
from benchmarks.dp_utility import DELTA, encode_records, mask_records, split_records
from benchmarks.encrypted_real import CORPORA, PROVISIONS, records_of
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Representation
from lexveil.nlp.encoders.documents import extract
from lexveil.pipeline.joint.agreement import Agreement, OfficeOffer, Protection, Setup
from lexveil.pipeline.joint.drafting import draft_agreement
from lexveil.pipeline.joint.office import fit_agreed
from lexveil.pipeline.joint.scores import OfficeScore, choose_level
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import OwnerData, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Integers
from lexveil.privacy.joint.offices import Offices
from lexveil.privacy.joint.signing import Signer
from lexveil.privacy.joint.summing import Evidence, select_largest

OFFICES = 5
SEEDS = (1, 2, 3)
SCORE_EPSILON = 0.5
# Row -> protection, number of offices that may tell each other what they see, share of entries that is sent.
PROTECTIONS: dict[str, tuple[Protection, int, float | None]] = {
    "sum_t0": ("sum", 0, None), "sum_t2": ("sum", 2, None), "office": ("office", 0, None),
    "once": ("once", 0, None), "cyclic": ("cyclic", 0, None), "theta_30": ("office", 0, 0.3),
    "theta_10": ("office", 0, 0.1),
}  # fmt: skip
CUAD = "cuad_clauses"
JOINT_LESS_ALONE = {(CUAD, 8.0): 0.08}
ROWS = ("pooled", *PROTECTIONS, "alone")
STEPS_OF = ("sum", "office", "cyclic", "he")
TARGETS = {
    ("sum_t0", 8.0): 0.78, ("sum_t0", 3.0): 0.735, ("sum_t2", 8.0): 0.76, ("sum_t2", 3.0): 0.715,
    ("office", 8.0): 0.73, ("office", 3.0): 0.675, ("once", 8.0): 0.65, ("once", 3.0): 0.58,
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=["step"], help="what a step costs, nothing else")
    parser.add_argument("--protections", nargs="+", choices=STEPS_OF, default=STEPS_OF, help="for step")
    parser.add_argument("--corpus", choices=[PROVISIONS, CUAD], default=PROVISIONS)
    parser.add_argument("--weak", type=int, default=0, help="number of weak offices; only these rows")
    parser.add_argument("--mislabeled", type=float, default=1.0, help="share of their documents")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    parser.add_argument("--epsilons", nargs="+", type=float, default=[8.0, 3.0])
    parser.add_argument("--representation", choices=get_args(Representation), default=DEFAULT_REPRESENTATION)
    parser.add_argument("--cache", type=make_folder, help="folder that keeps masked texts and embeddings")


def measure(arguments: argparse.Namespace) -> Outcome:
    if arguments.only == "step":
        figures, details = joint_step.measure_steps(arguments.protections, 6 if arguments.quick else 20)
        sizes = {"offices": OFFICES, "weights": joint_step.WEIGHTS, "owners": joint_step.OWNERS * OFFICES}
        return Outcome(figures, sizes, [0], details)
    if not (CORPORA / arguments.corpus / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    records = mask_records(list(records_of(arguments.corpus)), arguments.cache)
    encoded = encode_records(records, "embedding", arguments.representation, arguments.cache)
    labeled = [number for number, record in enumerate(records) if record["label"] is not None]
    records, encoded = [records[number] for number in labeled], [encoded[number] for number in labeled]
    fold = None if any(record["split"] != "train" for record in records) else 0
    split = split_records(records, encoded, "owner", fold)
    parts = deal_out(split)
    usual = (arguments.corpus, arguments.representation) == (PROVISIONS, DEFAULT_REPRESENTATION)
    seeds = SEEDS[:1] if arguments.quick else SEEDS
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {"owners_by_office": [part.n_owners for part in parts]}

    def put(name: str, epsilon: float, scores: Sequence[float]) -> None:
        target = TARGETS.get((name, epsilon)) if usual else None
        figures[f"{name}_epsilon_{epsilon:g}"] = Figure(
            statistics.fmean(scores), target, "micro-F1", "higher"
        )
        details[f"{name}_epsilon_{epsilon:g}"] = [round(score, 4) for score in scores]

    for epsilon in arguments.epsilons:
        settings = TrainSettings(
            model="linear", epsilon=epsilon, delta=DELTA["owner"], representation=arguments.representation
        )
        if arguments.weak:
            for row, scores in measure_weak(split, parts, settings, arguments, seeds, details).items():
                put(row, epsilon, scores)
            continue
        for row in arguments.rows:
            if row in PROTECTIONS:
                put(row, epsilon, [train_together(split, parts, settings, row, seed) for seed in seeds])
            else:
                learned = parts if row == "alone" else [split]
                put(row, epsilon, [train_alone(part, settings, seed) for part in learned for seed in seeds])
        if {"sum_t0", "alone"} <= set(arguments.rows) and not arguments.weak:
            gain = figures[f"sum_t0_epsilon_{epsilon:g}"].value - figures[f"alone_epsilon_{epsilon:g}"].value
            wanted = JOINT_LESS_ALONE.get((arguments.corpus, epsilon))
            figures[f"joint_less_alone_epsilon_{epsilon:g}"] = Figure(gain, wanted, "micro-F1", "higher")
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


def measure_weak(
    split: Split,
    parts: Sequence[Split],
    settings: TrainSettings,
    arguments: argparse.Namespace,
    seeds: Sequence[int],
    details: dict[str, Any],
) -> dict[str, list[float]]:
    """Protection `sum`, nobody colludes, with weak offices at both ends of the line of contracts."""
    found: dict[str, list[float]] = {"even": [], "weighed": [], "without": [], "weighed_none_weak": []}
    for seed in seeds:
        dice = np.random.default_rng(seed)
        weak = dice.permutation(len(parts))[: arguments.weak]
        mixed = [
            mislabel(part, arguments.mislabeled, dice) if index in weak else part
            for index, part in enumerate(parts)
        ]
        others = [part for index, part in enumerate(parts) if index not in weak]
        levels = {name: score_offices(some, settings, seed) for name, some in (("w", mixed), ("n", parts))}
        details.setdefault("weak", []).append(sorted(weak.tolist()))
        details.setdefault("levels", []).append(levels["w"])
        details.setdefault("levels_none_weak", []).append(levels["n"])
        found["even"].append(train_together(split, mixed, settings, "sum_t0", seed))
        found["weighed"].append(train_together(split, mixed, settings, "sum_t0", seed, levels["w"]))
        found["without"].append(train_together(split, others, settings, "sum_t0", seed))
        found["weighed_none_weak"].append(train_together(split, parts, settings, "sum_t0", seed, levels["n"]))
    return found


def mislabel(split: Split, share: float, dice: np.random.Generator) -> Split:
    drawn = dice.random(len(split.train)) < share
    labels = dice.choice(split.labels, len(split.train))
    rows = [
        replace(row, label=str(label)) if wrong else row
        for row, label, wrong in zip(split.train, labels, drawn, strict=True)
    ]
    return replace(split, train=tuple(rows))


def score_offices(parts: Sequence[Split], settings: TrainSettings, seed: int) -> list[int]:
    scored = settings.model_copy(update={"epsilon": SCORE_EPSILON})
    return [
        choose_level(part, scored, SecureRandom(bytes([seed, 100 + index]) * 16))
        for index, part in enumerate(parts)
    ]


def train_alone(split: Split, settings: TrainSettings, seed: int) -> float:
    plan = plan_training(settings, split)
    config, data = build_model_config(settings, split), group_by_owner(split, settings)
    model, _ = fit(config, data, settings, plan, SecureRandom(seed.to_bytes(32, "big")))
    return score(model, split)


def score(model: Any, split: Split) -> float:
    chosen = extract(model, [row.encoded for row in split.held_out]).logits.argmax(axis=1)
    return float((chosen == np.array([split.labels.index(row.label or "") for row in split.held_out])).mean())


@dataclass
class Meeting:
    """Adds up the uploads of threads."""

    barrier: threading.Barrier
    uploads: dict[tuple[int, int], Integers | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Sitting:
    """`Summing` of one thread."""

    index: int
    meeting: Meeting
    entries: int

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        sent = None if upload is None else select_largest(upload, self.entries)
        self.meeting.uploads[step, self.index] = sent
        self.meeting.barrier.wait()
        uploads = [self.meeting.uploads[step, one] for one in range(self.meeting.barrier.parties)]
        return np.sum([one for one in uploads if one is not None], axis=0), Evidence((), ())

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        raise NotImplementedError


def agree(
    split: Split, parts: Sequence[Split], settings: TrainSettings, row: str, levels: Sequence[int] = ()
) -> Agreement:
    protection, colluders, theta = PROTECTIONS[row]
    config = build_model_config(settings, split)
    setup = Setup(
        kind="linear", objective="classify", labels=config.labels,
        weights=config.feature_dim * len(config.labels),
        model="0" * 32, masking="0" * 32, max_items_per_owner=settings.max_items_per_owner, unit="owner",
    )  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    offers = [
        OfficeOffer(
            name=f"court-{index}", address=f"localhost:{index + 1}", owners=part.n_owners, setup=setup,
            certificate=Signer.create().certify("court", now).decode(),
            score=OfficeScore(level=levels[index], epsilon=SCORE_EPSILON) if levels else None,
        )
        for index, part in enumerate(parts)
    ]  # fmt: skip
    agreement = draft_agreement(offers, settings, protection, colluders, theta=theta)
    assert agreement.plan_charge().epsilon(settings.delta) <= settings.epsilon
    return agreement


def train_together(
    split: Split,
    parts: Sequence[Split],
    settings: TrainSettings,
    row: str,
    seed: int,
    levels: Sequence[int] = (),
) -> float:
    agreement, config = agree(split, parts, settings, row, levels), build_model_config(settings, split)
    noise, meeting, models = agreement.plan_noise(), Meeting(threading.Barrier(len(parts))), {}

    def office(index: int, folder: Path) -> None:
        random = SecureRandom(bytes([seed, index]) * 16)
        journal, turns = Journal(folder / str(index), bytes(32)), agreement.list_turns(index)
        offices = Offices(
            Sitting(index, meeting, agreement.entries), journal, noise, random, agreement.counted_owners,
            turns, agreement.weights[index],
        )  # fmt: skip
        data = OwnerData(parts[index], config.kind, settings.max_items_per_owner)
        try:
            models[index] = fit_agreed(agreement, config, data, settings, random, offices)
        except BaseException:
            meeting.barrier.abort()
            raise

    with tempfile.TemporaryDirectory() as name:
        threads = [threading.Thread(target=office, args=(one, Path(name))) for one in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return score(models[0], split)


if __name__ == "__main__":
    run(__doc__, measure, options)
