"""Attacks on a joint training of real contract provisions, by role, beside the same attacks on raw updates.

    python -m benchmarks.joint_attacks [--quick] [--epsilon 8] [--seeds 1] [--cache FOLDER]

Five offices with their own kinds of contracts, as in `benchmarks.joint`, train the linear head. The first
office is attacked; half of its contracts, drawn by the seed, do not take part. `lone_*`: one owner is drawn
alone in the first step. `read`: the feature row is read (cosine above .999); `classes`: its class, over the
most frequent one's share; `recognized`: which owner it is, over chance. `membership_*`: area under the curve
over one half, from the sums of all steps, between contracts of the first office that take part and others.
`tokens_*`: a document of 32 tokens alone in a step of an LSTM; all tokens are compared with the span of the
first layer's gradient.
`sum_t0`, `t1`, `t2`: so many offices collude, and put in nothing themselves; `office`: all others do. With
several seeds, who takes part, noise and sampling are drawn anew, and figures are means;
`interval_over_seeds` (95 %, Student) is that of the mean.

`allowed_*` is the most over chance that any attacker could reach against the noise that is left, by the
accounting: epsilon is a bound on this, and not zero. `intervals` in the details (95 %, of the first seed)
have the owners as chance: Clopper & Pearson 1934 for shares, Hanley & McNeil 1982 for areas under the curve.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.contract import Figure, Outcome, make_folder, run
from benchmarks.dp_utility import DELTA, encode_records, mask_records, split_records
from benchmarks.encrypted_real import CORPORA, PROVISIONS, records_of
from benchmarks.joint import OFFICES, deal_out
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, ModelConfig
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import build_model
from lexveil.pipeline.joint.attacks import (
    JointCourse,
    LoneOwner,
    attack_lone_owners,
    attack_membership,
    compute_epsilon,
)
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import OwnerData, Row, Split
from lexveil.pipeline.training.fit import build_model_config
from lexveil.pipeline.training.objectives import build_objective
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.audit.attacks import Membership
from lexveil.privacy.dp.batches import Batch
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.audit import Change, JointTraining
from lexveil.privacy.joint.noise import Integers, Sharing, plan_noise
from lexveil.privacy.joint.offices import Offices
from lexveil.privacy.joint.summing import Evidence, Summing

TOKENS, LONE = 32, 10
MOST_OVER_CHANCE = 0.02
_EPSILONS = np.linspace(0.0, 24.0, 481)


def keep_sums(totals: dict[int, Integers]) -> Change:
    """Return what keeps the opened sums of the first office in `totals`, by step."""

    def change(index: int, plan: TrainingPlan, offices: Offices) -> tuple[TrainingPlan, Offices]:
        seen = replace(offices, summing=Keeping(offices.summing, totals)) if index == 0 else offices
        return plan, seen

    return change


@dataclass(frozen=True, slots=True)
class Keeping:
    """`Summing` that keeps the sums."""

    summing: Summing
    totals: dict[int, Integers]

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        self.totals[step], evidence = self.summing.add_up(step, upload)
        return self.totals[step], evidence

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        return self.summing.recompute(step, evidence)


@dataclass(frozen=True, slots=True)
class Dealt:
    """Owners of all offices, in the order in which `JointTraining` deals them out in turn."""

    parts: tuple[OwnerData, ...]

    @property
    def n_owners(self) -> int:
        return len(self.parts) * max(part.n_owners for part in self.parts)

    @property
    def item_counts(self) -> list[int]:
        found = [self._find(owner) for owner in range(self.n_owners)]
        return [part.item_counts[own] if own < part.n_owners else 0 for part, own in found]

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """The places of offices with fewer owners are empty."""
        found = [(place, *self._find(owner)) for place, owner in enumerate(owners)]
        there = [(place, part, own) for place, part, own in found if own < part.n_owners]
        batch = there[0][1].batch([own for _, _, own in there], items)
        places = torch.tensor([place for place, _, _ in there])
        return Batch(batch.inputs, batch.targets, places[batch.owner_index], batch.weights)

    def _find(self, owner: int) -> tuple[OwnerData, int]:
        return self.parts[owner % len(self.parts)], owner // len(self.parts)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="attack `sum` and t = 1 only")
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cache", type=make_folder, help="folder that keeps masked texts and embeddings")


def measure(arguments: argparse.Namespace) -> Outcome:
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    torch.set_num_threads(1)
    records = mask_records(list(records_of(PROVISIONS)), arguments.cache)
    encoded = encode_records(records, "embedding", DEFAULT_REPRESENTATION, arguments.cache)
    split = split_records(records, encoded, "owner", None)
    parts = deal_out(split)
    settings = TrainSettings(
        model="linear",
        epsilon=arguments.epsilon,
        delta=DELTA["owner"],
        representation=DEFAULT_REPRESENTATION,
    )
    config, plan = build_model_config(settings, split), plan_training(settings, split)
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {"owners_by_office": [part.n_owners for part in parts], "steps": plan.steps}

    def over(name: str, value: float, target: float | None = MOST_OVER_CHANCE) -> None:
        figures[name] = Figure(value, target, "over chance", "lower")

    def put(view: str, found: Sequence[tuple[LoneOwner, Membership]]) -> None:
        lone, member = found[0]
        over(f"lone_read_{view}", statistics.fmean(one.read for one, _ in found))
        over(f"lone_classes_{view}", statistics.fmean(one.classes - one.most_frequent for one, _ in found))
        recognized = [one.recognized for one, _ in found]
        over(f"lone_recognized_{view}", statistics.fmean(recognized) - 1 / lone.owners)
        areas = [one.auc for _, one in found]
        over(f"membership_{view}", statistics.fmean(areas) - 0.5)
        details[f"seeds_{view}"] = [
            [round(one, 4) for one in both] for both in zip(recognized, areas, strict=True)
        ]
        if len(found) > 1:
            details[f"interval_over_seeds_{view}"] = {
                "lone_recognized": bound_mean(recognized, 1 / lone.owners),
                "membership": bound_mean(areas, 0.5),
            }
        details[f"intervals_{view}"] = {
            "lone_recognized": bound_share(lone.recognized, lone.owners, 1 / lone.owners),
            "membership": bound_area(member.auc, member.members, member.others),
        }

    colluders = (1,) if arguments.quick else (0, 1, 2, OFFICES - 1)
    for count in colluders:
        sharing = Sharing(OFFICES, count)
        name = "office" if count == OFFICES - 1 else f"sum_t{count}"
        found: list[tuple[LoneOwner, Membership]] = []
        course: JointCourse | None = None
        for seed in range(arguments.seeds):
            attacked = halve(parts[0], seed)
            course = train_course(
                config, settings, plan, [attacked, *parts[1 : OFFICES - count]], sharing, seed + 1
            )
            if count == colluders[0] and seed == 0:
                raw = attack_lone_owners(course, settings, attacked, 0)
                figures["lone_read_raw"] = Figure(raw.read, 0.99, "share", "higher")
                figures["lone_classes_raw"] = Figure(raw.classes, 0.99, "share", "higher")
                membership = attack_membership(course, settings, attacked, settings.delta, raw=True)
                assert membership is not None
                figures["membership_raw"] = Figure(membership.auc - 0.5, None, "over chance", "lower")
            membership = attack_membership(course, settings, attacked, settings.delta)
            assert membership is not None
            found.append((attack_lone_owners(course, settings, attacked, OFFICES - count, seed), membership))
        assert course is not None
        put(name, found)
        left = replace(course.noise, honest=OFFICES - count).noise_multiplier
        allowed = allow_recognition(left, found[0][0].owners)
        over(f"allowed_lone_recognized_{name}", allowed - 1 / found[0][0].owners, None)
        over(f"allowed_membership_{name}", allow_area(left, plan.sample_rate, plan.steps) - 0.5, None)
        details[f"epsilon_by_shares_{name}"] = {
            shares: round(compute_epsilon(plan, course.noise, shares, settings.delta), 2)
            for shares in range(1, OFFICES + 1)
        }
        details[f"members_others_{name}"] = [found[0][1].members, found[0][1].others]
    for view, value in attack_tokens(records, split, settings).items():
        raw = view == "raw"
        figures[f"tokens_{view}"] = Figure(
            value, 0.99 if raw else MOST_OVER_CHANCE, "share", "higher" if raw else "lower"
        )
    sizes = {"owners": split.n_owners, "offices": OFFICES}
    return Outcome(figures, sizes, [seed + 1 for seed in range(arguments.seeds)], details)


def allow_recognition(noise_multiplier: float, owners: int) -> float:
    """The largest share of owners, alone in a step, that an attacker can recognize among so many.

    For each epsilon, an attacker who guesses owner i with probability p(i) where nobody is in the step,
    guesses i with at most exp(epsilon) p(i) + delta(epsilon) where i is; the p(i) add up to 1.
    """
    deltas = accounting.privacy_profile(noise_multiplier, 1.0, 1, _EPSILONS)
    return float(min(1.0, (np.exp(_EPSILONS) / owners + deltas).min()))


def allow_area(noise_multiplier: float, sample_rate: float, steps: int) -> float:
    """The largest area under the curve of an attacker who sees all steps: that of the trade-off function.

    Each (epsilon, delta) allows no false negative rate below 1 - delta - exp(epsilon) x and
    exp(-epsilon) (1 - delta - x) at the false positive rate x (Dong, Roth & Su 2022, proposition 2.5).
    """
    deltas = accounting.privacy_profile(noise_multiplier, sample_rate, steps, _EPSILONS)
    rates = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 20_001)])
    missed = np.zeros(len(rates))
    for epsilon, delta in zip(_EPSILONS, deltas, strict=True):
        missed = np.maximum(missed, 1 - delta - np.exp(epsilon) * rates)
        missed = np.maximum(missed, np.exp(-epsilon) * (1 - delta - rates))
    # The curve falls: its value at the right end of each piece is the smaller one, so the area is a bound.
    return float(1 - (np.diff(rates) * missed[1:]).sum())


def bound_mean(values: Sequence[float], chance: float) -> list[float]:
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values) - chance
    return [round(mean - half, 3), round(mean + half, 3)]


def bound_share(share: float, count: int, chance: float) -> list[float]:
    from scipy import stats

    bounds = stats.binomtest(round(share * count), count).proportion_ci(0.95, "exact")
    return [round(float(bounds.low) - chance, 3), round(float(bounds.high) - chance, 3)]


def bound_area(area: float, members: int, others: int) -> list[float]:
    one, both = area / (2 - area), 2 * area**2 / (1 + area)
    square = area**2
    variance = area * (1 - area) + (members - 1) * (one - square) + (others - 1) * (both - square)
    half = 1.96 * (variance / (members * others)) ** 0.5
    return [round(area - 0.5 - half, 3), round(area - 0.5 + half, 3)]


def halve(split: Split, seed: int) -> Split:
    """Hold out half of the owners."""
    owners = sorted({row.owner for row in split.train})
    taking = set(np.random.default_rng(seed).permutation(owners)[: len(owners) // 2].tolist())
    rows = [tuple(row for row in split.train if (row.owner in taking) == takes_part) for takes_part in (1, 0)]
    return replace(split, train=rows[0], held_out=rows[1])


def train_course(
    config: ModelConfig,
    settings: TrainSettings,
    plan: TrainingPlan,
    parts: Sequence[Split],
    sharing: Sharing,
    seed: int,
) -> JointCourse:
    """Train, and return what the offices have opened, without what the colluding ones have put in."""
    encoder = load_encoder(settings)
    model = build_model(config, encoder)
    start_from_labels(model, encoder)
    target, loss = build_objective(model)
    weights = sum(one.numel() for one in target.parameters() if one.requires_grad)
    noise = plan_noise(plan.noise_multiplier, plan.max_grad_norm, weights, sharing)
    total = sharing.offices**0.5 * noise.deviation * 2.0**-noise.bits / plan.max_grad_norm
    plan = replace(plan, learning_rate=plan.learning_rate * plan.noise_multiplier / total)
    totals: dict[int, Integers] = {}
    training = JointTraining(sharing, change=keep_sums(totals))
    dealt = Dealt(tuple(OwnerData(part, config.kind, settings.max_items_per_owner) for part in parts))
    training(target, dealt, loss, plan, SecureRandom(bytes([seed]) * 32), max_items=2048)
    return JointCourse(config, plan, noise, dealt.n_owners, totals.__getitem__)


def attack_tokens(records: Any, split: Split, settings: TrainSettings) -> dict[str, float]:
    """Return the share of tokens that the first layer of an LSTM gives away, raw and with the noise."""
    settings = settings.model_copy(update={"model": "lstm", "chunk_length": TOKENS})
    encoder = load_encoder(settings)
    rows = tuple(
        Row(str(i), str(i), record["label"], EncodedDocument(None, [ids[:TOKENS]], None, 1, 1))
        for i, record in enumerate(records[:LONE])
        for ids in encoder.chunks(record["text"], TOKENS).ids[:1]
    )
    few = replace(split, train=rows, held_out=())
    config = build_model_config(settings, few)
    plan = plan_training(settings, split)
    model = build_model(config, encoder)
    weights = sum(one.numel() for one in model.parameters() if one.requires_grad)
    noise = plan_noise(plan.noise_multiplier, plan.max_grad_norm, weights, Sharing(OFFICES, 1))
    course = JointCourse(config, plan, noise, split.n_owners, lambda _: np.zeros(0, np.int64))
    return {
        "raw": attack_lone_owners(course, settings, few, 0).read,
        "sum_t1": attack_lone_owners(course, settings, few, OFFICES - 1).read,
        "one_share": attack_lone_owners(course, settings, few, 1).read,
    }


if __name__ == "__main__":
    run(__doc__, measure, options)
