"""Word pieces with their letter case, and results for pieces as results for words."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.taggers.card import public_folder
from lexveil.nlp.taggers.pieces import Encoded, WordPieces, plan_stretches, pool_words


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces.load(public_folder() / "tokenizer.json")


def cased(pieces: WordPieces, text: str) -> list[int]:
    """Return the shape of the first piece of each word."""
    encoded = pieces.encode(text)
    return encoded.shapes[np.unique(encoded.word, return_index=True)[1]].tolist()


@pytest.mark.parametrize(
    ("word", "shape"),
    [("roe", 1), ("Roe", 2), ("ROE", 3), ("R", 4), ("1999", 5), (",", 6), ("r2", 7), ("McRoe", 7)],
    ids=["lower", "capitalized", "capitals", "one capital", "digits", "no letter", "mixed", "inner capital"],
)
def test_a_shape_is_the_case_of_the_word(pieces: WordPieces, word: str, shape: int) -> None:
    assert cased(pieces, word) == [shape]


def test_a_piece_within_a_word_has_the_words_shape_plus_eight(pieces: WordPieces) -> None:
    encoded = pieces.encode("Querfurthian")
    assert len(encoded.ids) > 1
    assert encoded.shapes.tolist() == [2] + [10] * (len(encoded.ids) - 1)


def test_words_are_ranges_of_characters(pieces: WordPieces) -> None:
    text = "Mr Roe, (42)."
    encoded = pieces.encode(text)
    assert [text[start:end] for start, end in encoded.words.tolist()] == [
        "Mr",
        "Roe",
        ",",
        "(",
        "42",
        ")",
        ".",
    ]


def test_an_empty_text_has_no_piece(pieces: WordPieces) -> None:
    for text in ("", " \n "):
        encoded = pieces.encode(text)
        assert len(encoded.ids) == len(encoded.words) == 0


@pytest.mark.parametrize("token", ["[MASK]", "[CLS]", "[SEP]", "[PAD]"])
def test_a_special_token_in_a_text_is_its_letters(pieces: WordPieces, token: str) -> None:
    encoded = pieces.encode(f"a {token} b")
    assert not {pieces.cls, pieces.sep, pieces.pad} & set(encoded.ids.tolist())
    assert len(encoded.ids) > 3


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_every_piece_of_any_text_belongs_to_a_word(pieces: WordPieces, text: str) -> None:
    encoded = pieces.encode(text)
    assert len(encoded.ids) == len(encoded.shapes) == len(encoded.word)
    assert all(0 <= word < len(encoded.words) for word in encoded.word.tolist())
    assert all(a <= b for a, b in pairwise(encoded.word.tolist()))
    assert all(0 <= shape < 16 for shape in encoded.shapes.tolist())


def encoded_words(word: list[int], words: int) -> Encoded:
    ids = np.zeros(len(word), np.int64)
    return Encoded(ids, ids, np.array(word, np.int64), np.zeros((words, 2), np.int64))


@pytest.mark.parametrize(
    ("first", "expected"), [(True, [0.2, 0.0, 0.9]), (False, [0.4, 0.0, 0.9])], ids=["first", "mean"]
)
def test_a_word_gets_its_first_piece_or_the_mean(first: bool, expected: list[float]) -> None:
    probabilities = np.array([[0.2], [0.6], [0.9]], np.float32)
    pooled = pool_words(probabilities, encoded_words([0, 0, 2], 3), first=first)
    np.testing.assert_allclose(pooled[:, 0], expected)


def parts(text: str, size: int, pieces: WordPieces) -> list[tuple[str, str]]:
    """What each stretch reads, and what counts of it, as words."""
    encoded = pieces.encode(text)
    words = [text[slice(*encoded.words[row])] for row in encoded.word]
    return [
        (" ".join(words[one.start : one.stop]), " ".join(words[one.begin : one.end]))
        for one in plan_stretches(text, encoded, size)
    ]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("a b c d e f g h", ["a b c d e f g h"]),
        ("a b c d e f\ng h i j", ["a b c d e f", "g h i j"]),
        ("a b\nc d e f g h i j", ["a b c d e f g", "h i j"]),  # no end in the last two fifths: an overlap
        ("a b c d here. a b c d", ["a b c d here .", "a b c d"]),
        ("a b c d Mr. a b c d", ["a b c d Mr . a", "b c d"]),
        ("a b c d here.a b c d", ["a b c d here . a", "b c d"]),
        ("", []),
    ],
)
def test_stretches_end_with_lines_and_sentences(pieces: WordPieces, text: str, counted: list[str]) -> None:
    assert [part for _, part in parts(text, 8, pieces)] == counted


def test_the_last_stretch_begins_as_early_as_it_may(pieces: WordPieces) -> None:
    assert parts("a b c d e f g\nh i", 8, pieces)[-1] == ("b c d e f g h i", "h i")


@given(text=st.text("aZé 9.,\n", max_size=300), size=st.integers(4, 40))
def test_stretches_cover_a_text(pieces: WordPieces, text: str, size: int) -> None:
    encoded = pieces.encode(text)
    stretches = plan_stretches(text, encoded, size)
    bounds = [0, *(one.end for one in stretches)]
    assert bounds[-1] == len(encoded.ids)
    for (begin, end), one in zip(pairwise(bounds), stretches, strict=True):
        assert one.start <= one.begin == begin < end == one.end <= one.stop <= one.start + size
