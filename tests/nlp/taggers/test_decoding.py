"""The token classifier with a model that is given: labels, thresholds, lines and long texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lexveil.nlp.taggers.card import public_folder
from lexveil.nlp.taggers.pieces import Floats, Integers, WordPieces
from lexveil.nlp.taggers.transformer import Posteriors, TokenClassifier

LABELS = ("O", "PERSON", "DATE", "-PERSON")


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces.load(public_folder() / "tokenizer.json")


def constant(label: int) -> Callable[[Integers, Integers], Floats]:
    """Return a model that is sure of one label for every piece."""

    def forward(ids: Integers, shapes: Integers) -> Floats:
        del shapes
        return np.tile(np.eye(len(LABELS), dtype=np.float32)[label] * 50, (len(ids), 1))

    return forward


def capitals(ids: Integers, shapes: Integers) -> Floats:
    """Find a PERSON in each capitalized word."""
    logits = np.zeros((len(ids), len(LABELS)), np.float32)
    logits[:, 0] = 10
    logits[shapes % 8 == 2, 1] = 20
    return logits


def classifier(
    pieces: WordPieces, forward: Callable[[Integers, Integers], Floats], size: int = 256
) -> TokenClassifier:
    return TokenClassifier(forward, pieces, LABELS, 0.5, languages=frozenset({"en"}), size=size)


def found(tagger: TokenClassifier, text: str) -> list[str]:
    return [text[span.start : span.end] for span in tagger.tag([text])[0]]


def test_only_the_types_that_exist_are_found(pieces: WordPieces) -> None:
    assert classifier(pieces, capitals).types == ("DATE", "PERSON")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("then Jane Roe left", ["Jane Roe"]),
        ("then Jane, Roe left", ["Jane", "Roe"]),
        ("then Jane\nRoe left", ["Jane", "Roe"]),
        ("nobody left", []),
        ("", []),
    ],
    ids=["run", "punctuation", "line", "none", "empty"],
)
def test_a_run_ends_with_the_type_and_the_line(pieces: WordPieces, text: str, expected: list[str]) -> None:
    assert found(classifier(pieces, capitals), text) == expected


@pytest.mark.parametrize(("label", "expected"), [(0, []), (3, []), (1, ["a Roe , b"]), (2, ["a Roe , b"])])
def test_a_label_of_what_may_stay_masks_nothing(pieces: WordPieces, label: int, expected: list[str]) -> None:
    assert found(classifier(pieces, constant(label)), "( a Roe , b )") == expected


def test_a_long_text_is_read_to_its_end_in_short_stretches(pieces: WordPieces) -> None:
    text = "so it was and " * 100 + "Jane Roe left"
    assert found(classifier(pieces, capitals, size=20), text) == ["Jane Roe"]


def posteriors(*rows: Sequence[float]) -> Posteriors:
    """Return the probabilities of DATE and PERSON of words of three letters."""
    words = np.array([(4 * n, 4 * n + 3) for n in range(len(rows))], np.int64)
    return Posteriors(words, np.array(rows, np.float32))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.2, [("aaa bbb ccc", "PERSON")]),
        (0.5, [("aaa bbb", "PERSON")]),
        (0.75, [("aaa", "PERSON")]),
        (0.99, []),
    ],
)
def test_a_lower_threshold_masks_more(
    pieces: WordPieces, threshold: float, expected: list[tuple[str, str]]
) -> None:
    text = "aaa bbb ccc ddd"
    rows = posteriors((0.0, 0.9), (0.1, 0.5), (0.1, 0.2), (0.0, 0.1))
    spans = classifier(pieces, capitals).decode(text, rows, threshold)
    assert [(text[span.start : span.end], span.type) for span in spans] == expected


def test_the_likeliest_type_wins_and_a_score_is_the_mean(pieces: WordPieces) -> None:
    rows = posteriors((0.1, 0.5), (0.2, 0.6), (0.7, 0.2))
    spans = list(classifier(pieces, capitals).decode("aaa bbb ccc", rows, 0.5))
    assert [(span.start, span.end, span.type) for span in spans] == [(0, 7, "PERSON"), (8, 11, "DATE")]
    assert [round(span.score, 2) for span in spans] == [0.7, 0.9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kod Trg 14/3, Zagreb", "Trg 14/3"),
        ("kod Trg 14/3a i dalje", "Trg 14/3a"),
        ("kod Trg 14/stubište", "Trg 14"),
        ("kod Trg 14 i dalje", "Trg 14"),
    ],
)
def test_the_number_of_a_flat_belongs_to_its_house(pieces: WordPieces, text: str, expected: str) -> None:
    encoded = pieces.encode(text)
    shown = [text[start:end] for start, end in encoded.words.tolist()]
    probabilities = np.array([[float(word in ("Trg", "14"))] for word in shown], np.float32)
    tagger = TokenClassifier(capitals, pieces, ("O", "ADDRESS"), 0.5, languages=frozenset({"hr"}))
    (span,) = tagger.decode(text, Posteriors(encoded.words, probabilities), 0.5)
    assert text[span.start : span.end] == expected
