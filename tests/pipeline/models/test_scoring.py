"""Scores of logits, against tables that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lexveil.nlp.encoders.config import ModelConfig, Objective
from lexveil.pipeline.models.scoring import Scores, score_classes, score_topics


def config(objective: Objective = "classify", labels: tuple[str, ...] = ("a", "b", "c")) -> ModelConfig:
    return ModelConfig("linear", "0" * 64, 8, 8, labels, objective, 0, 32, 4)


def logits_of(*guesses: str) -> np.ndarray:
    """Logits of a model that predicts exactly these labels of a, b and c."""
    return np.array([[1.0 if name in guess else -1.0 for name in "abc"] for guess in guesses], np.float32)


@pytest.mark.parametrize(
    ("written", "guesses", "micro", "macro"),
    [
        ("abc", "abc", 1, 1),
        ("abc", "bca", 0, 0),
        ("aab", "aaa", 2 / 3, (4 / 5 + 0) / 2),
        ("aabb", "abbb", 3 / 4, (2 / 3 + 4 / 5) / 2),
        ("a", "a", 1, 1),
    ],
    ids=["right", "wrong", "one class never predicted", "one error", "single"],
)
def test_one_class_per_document(written: str, guesses: str, micro: float, macro: float) -> None:
    scores = score_classes(config(), list(written), logits_of(*guesses))
    assert (scores.micro_f1, scores.macro_f1) == pytest.approx((micro, macro))
    assert scores.n == len(written)


def test_the_most_likely_class_counts_even_where_all_are_unlikely() -> None:
    logits = np.array([[-9.0, -3.0, -5.0]], np.float32)
    assert score_classes(config(), ["b"], logits) == Scores(1, 1, 1)


def test_a_class_that_no_document_has_does_not_lower_the_macro_score() -> None:
    assert score_classes(config(), ["a", "b"], logits_of("a", "b")).macro_f1 == 1


def test_a_label_that_the_model_does_not_know_is_a_miss() -> None:
    scores = score_classes(config(), ["a", "unknown"], logits_of("a", "a"))
    assert scores.micro_f1 == pytest.approx(1 / 2)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_several_classes_where_one_is_expected_are_a_miss() -> None:
    scores = score_classes(config(), ["a", '["a", "b"]'], logits_of("a", "a"))
    assert scores.micro_f1 == pytest.approx(1 / 2)
    # A list of a single class is that class.
    assert score_classes(config(), ['["b"]'], logits_of("b")) == Scores(1, 1, 1)


@pytest.mark.parametrize(
    ("written", "guesses", "micro", "macro"),
    [
        (['["a", "b"]', '["c"]'], ["ab", "c"], 1, 1),
        (['["a", "b"]', '["c"]'], ["a", ""], 2 / 4, 1 / 3),
        (['["a"]', '["a"]'], ["ab", "ab"], 2 * 2 / (2 * 2 + 2), 1),
        (["[]", '["b"]'], ["", "b"], 1, 1),
        (["[]", '["b"]'], ["a", "b"], 2 / 3, 1),
    ],
    ids=["right", "misses", "too many", "a document without classes", "a guess for it"],
)
def test_several_classes_per_document(
    written: list[str], guesses: list[str], micro: float, macro: float
) -> None:
    scores = score_classes(config("multilabel"), written, logits_of(*guesses))
    assert (scores.micro_f1, scores.macro_f1) == pytest.approx((micro, macro))


def test_an_unknown_class_among_several_is_one_miss() -> None:
    scores = score_classes(config("multilabel"), ['["a", "z"]', '["b"]'], logits_of("a", "b"))
    assert scores.micro_f1 == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert scores.macro_f1 == pytest.approx((1 + 1 + 0) / 3)


def test_topics_are_scored_against_the_uniform_distribution() -> None:
    topics = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    scores = score_topics(np.zeros((2, 4), np.float32), topics)
    assert scores.uniform == pytest.approx(math.log(4), rel=1e-6)
    assert (scores.loss, scores.n) == (scores.uniform, 2)


def test_better_topics_have_a_lower_loss() -> None:
    topics = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    good = score_topics(np.log(topics + 1e-6).astype(np.float32), topics)
    bad = score_topics(-np.log(topics + 1e-6).astype(np.float32), topics)
    assert good.loss == pytest.approx(math.log(2) / 2, abs=1e-3)  # the entropy of the second document
    assert good.loss < good.uniform < bad.loss
    assert good.uniform == bad.uniform
