"""Attacks: they find a model that memorizes, and leave few owners alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.attacks import AttackOutcome, attack_model
from lexveil.pipeline.training.data import Row, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.privacy.dp.randomness import SecureRandom

MakeSplit = Callable[..., Split]
TRAIN = TrainSettings(steps=20, epsilon=1)
CARD = {"delta": 1e-5, "epsilon": 1.0}


def train_model(split: Split, private: bool) -> FeatureModel:
    plan = plan_training(TRAIN, split)
    plan = plan if private else replace(plan_without_privacy(plan, "linear"), steps=400)
    config, data = build_model_config(TRAIN, split), group_by_owner(split, TRAIN)
    return fit(config, data, TRAIN, plan, SecureRandom(bytes(32)), private=private)[0]


def attack(model: FeatureModel, split: Split) -> tuple[AttackOutcome, list[tuple[str, int, int]]]:
    heard: list[tuple[str, int, int]] = []

    def listen(stage: str, done: int, total: int, documents: int = 0) -> None:
        heard.append((stage, done, total))

    return attack_model(model, TRAIN, CARD, split, listen), heard


def without_pattern(split: Split) -> Split:
    """The same documents with random labels, which a model can only learn by heart."""
    rng = np.random.default_rng(4)
    rows = [replace(row, label=str(rng.choice(["a", "b"]))) for row in (*split.train, *split.held_out)]
    n = len(split.train)
    return Split(tuple(rows[:n]), tuple(rows[n:]), split.objective, split.labels)


def test_a_model_that_learned_by_heart_is_found_out_and_a_private_one_less(make_split: MakeSplit) -> None:
    split = without_pattern(make_split(40, 40))
    memorized, heard = attack(train_model(split, private=False), split)
    private, _ = attack(train_model(split, private=True), split)
    assert memorized.membership is not None
    assert private.membership is not None
    assert private.membership_without_privacy is not None
    assert (memorized.membership.members, memorized.membership.others) == (40, 40)
    assert memorized.membership.auc > 0.8 > private.membership.auc
    assert private.membership_without_privacy.auc > private.membership.auc
    assert memorized.exposure is not None
    assert private.exposure is not None
    assert memorized.exposure.mean > private.exposure.mean
    assert memorized.references == 4
    assert heard == [("attacks", done, 6) for done in range(7)]
    assert private.refuted_epsilon <= 1.0


@pytest.mark.parametrize(("inside", "outside"), [(40, 0), (40, 19), (19, 40)])
def test_few_owners_on_either_side_are_not_attacked(make_split: MakeSplit, inside: int, outside: int) -> None:
    split = make_split(inside, outside)
    outcome, heard = attack(train_model(split, private=True), split)
    assert outcome == AttackOutcome(None, None, None, None, 0)
    assert heard == []


def test_documents_that_the_model_has_no_loss_for_are_left_out(make_split: MakeSplit) -> None:
    split = make_split(24, 24)
    model = train_model(split, private=True)

    def relabel(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(replace(row, label=[None, "z", row.label][min(n, 2)]) for n, row in enumerate(rows))

    outcome, _ = attack(model, replace(split, train=relabel(split.train), held_out=relabel(split.held_out)))
    assert outcome.membership is not None
    assert (outcome.membership.members, outcome.membership.others) == (22, 22)


def test_documents_without_topics_are_left_out_of_a_denoising_model(make_split: MakeSplit) -> None:
    split = make_split(24, 24, objective="denoise", labels=("x", "y", "z"))

    def blank(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        empty: list[Any] = [None, np.zeros(3, np.float32)]
        first = [
            replace(row, encoded=replace(row.encoded, topics=topics))
            for row, topics in zip(rows, empty, strict=False)
        ]
        return (*first, *rows[2:])

    blanked = replace(split, train=blank(split.train), held_out=blank(split.held_out))
    outcome, _ = attack(train_model(split, private=True), blanked)
    assert outcome.membership is not None
    assert (outcome.membership.members, outcome.membership.others) == (22, 22)


def test_an_owner_of_many_documents_counts_once(make_split: MakeSplit) -> None:
    split = make_split(60, 60)

    def pair(rows: tuple[Row, ...], side: str) -> tuple[Row, ...]:
        return tuple(replace(row, owner=f"{side}{n // 2}") for n, row in enumerate(rows))

    paired = replace(split, train=pair(split.train, "in"), held_out=pair(split.held_out, "out"))
    outcome, _ = attack(train_model(paired, private=True), paired)
    assert outcome.membership is not None
    assert (outcome.membership.members, outcome.membership.others) == (30, 30)
