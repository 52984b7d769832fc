"""Hashed features: tokens, shapes, sentences and neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.taggers.features import (
    Clusters,
    compute_shape,
    compute_token_features,
    describe_words,
    find_neighbors,
    hash_text,
    number_segments,
    tokenize,
)

NO_CLUSTERS = Clusters(np.zeros(0, np.uint32), np.zeros((0, 3), np.uint16))


def segments(*texts: str) -> list[list[str]]:
    """Return the words of each sequence of the texts."""
    tokens = tokenize(texts)
    vocabulary = sorted(set(tokens.words))
    ids = np.array([vocabulary.index(word) for word in tokens.words], np.int64)
    numbers = number_segments(tokens, ids, describe_words(vocabulary, NO_CLUSTERS)).tolist()
    return [
        [word for word, number in zip(tokens.words, numbers, strict=True) if number == segment]
        for segment in sorted(set(numbers))
    ]


@pytest.mark.parametrize(
    ("text", "words", "gaps"),
    [
        ("Ms Roe, 42.", ["Ms", "Roe", ",", "42", "."], [0, 1, 0, 1, 0]),
        ("a\n\nb", ["a", "b"], [0, 2]),
        ("  x", ["x"], [1]),
        ("Straße 5§", ["Straße", "5", "§"], [0, 1, 0]),
        ("", [], []),
        (" \n", [], []),
    ],
)
def test_tokens_and_the_gaps_before_them(text: str, words: list[str], gaps: list[int]) -> None:
    tokens = tokenize([text])
    assert (tokens.words, tokens.gap.tolist()) == (words, gaps)
    assert [text[start:end] for start, end in tokens.spans.tolist()] == words


@given(st.lists(st.text(max_size=20), max_size=4))
def test_tokens_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    tokens = tokenize(texts)
    assert tokens.words == [word for text in texts for word in tokenize([text]).words]
    assert all(
        texts[owner][start:end] == word
        for (start, end), owner, word in zip(
            tokens.spans.tolist(), tokens.text.tolist(), tokens.words, strict=True
        )
    )


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("1999", "d4"),
        ("123456789", "d7"),
        ("USA", "X3"),
        ("NATIONS", "X4"),
        ("Roe", "Xx"),
        ("roe", "x"),
        ("McRoe", "XxXx"),
        ("12/34", "d/d"),
        ("Ömer", "Xx"),
        ("张", "w"),
    ],
)
def test_a_shape_drops_the_letters(word: str, shape: str) -> None:
    assert compute_shape(word) == shape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He came. She left.", [["He", "came", "."], ["She", "left", "."]]),
        ("Mr. Roe came.", [["Mr", ".", "Roe", "came", "."]]),
        ("no. 5 applies", [["no", ".", "5", "applies"]]),
        ("one\ntwo", [["one"], ["two"]]),
        ("left.She", [["left", ".", "She"]]),
    ],
    ids=["sentences", "title", "abbreviation", "lines", "no space"],
)
def test_a_sequence_ends_with_a_sentence_or_line(text: str, expected: list[list[str]]) -> None:
    assert segments(text) == expected


def test_texts_never_share_a_sequence_and_a_long_one_is_split() -> None:
    assert segments("one two", "three") == [["one", "two"], ["three"]]
    assert [len(words) for words in segments("so " * 600)] == [256, 256, 88]


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, [1, 2, 3, 4, 5]),
        (1, [2, 3, -1, 5, -1]),
        (-1, [-1, 1, 2, -1, 4]),
        (2, [3, -1, -1, -1, -1]),
        (9, [-1] * 5),
    ],
)
def test_neighbors_end_with_their_text(offset: int, expected: list[int]) -> None:
    ids, text = np.array([1, 2, 3, 4, 5]), np.array([0, 0, 0, 1, 1])
    assert find_neighbors(ids, text, offset, -1).tolist() == expected


def test_clusters_of_known_and_unknown_words() -> None:
    known = np.sort(np.array([hash_text("court"), hash_text("judge")], np.uint32))
    clusters = Clusters(known, np.array([[1, 2, 3], [4, 5, 6]], np.uint16))
    found = clusters.look_up(np.array([known[1], hash_text("zyx"), known[0]], np.uint32))
    assert found.tolist() == [[4, 5, 6], [-1, -1, -1], [1, 2, 3]]
    assert NO_CLUSTERS.look_up(known).tolist() == [[-1, -1, -1]] * 2


def test_words_know_titles_languages_and_case() -> None:
    words = describe_words(["Mr", "und", "the", "court", ".", "Roe"], NO_CLUSTERS)
    assert words.title.tolist() == [True, False, False, False, False, False]
    assert words.german.tolist() == [0, 1, -1, 0, 0, 0]
    assert words.lower.tolist() == [False, True, True, True, False, False]
    assert words.long.tolist() == [False, False, False, True, False, False]
    assert words.stop.tolist() == [False, False, False, False, True, False]


def test_words_are_concatenated_in_order() -> None:
    one, two = describe_words(["Mr"], NO_CLUSTERS), describe_words(["Roe", "the"], NO_CLUSTERS)
    both = one.concatenate(two)
    np.testing.assert_array_equal(both.hashes, describe_words(["Mr", "Roe", "the"], NO_CLUSTERS).hashes)
    assert both.title.tolist() == [True, False, False]


def test_a_feature_depends_on_the_text_around_a_word() -> None:
    def features(text: str) -> list[int]:
        tokens = tokenize([text])
        vocabulary = ["", *sorted(set(tokens.words))]
        ids = np.array([vocabulary.index(word) for word in tokens.words], np.int64)
        words = describe_words(vocabulary, NO_CLUSTERS)
        return compute_token_features(tokens, ids, words, 0)[tokens.words.index("Roe")].tolist()

    assert features("Mr Roe left") == features("Mr Roe left")
    assert features("Mr Roe left") != features("Mr Roe came")
    assert features("so Mr Roe left") != features("so my Roe left")
