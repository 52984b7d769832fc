"""Near spellings: words within one edit from five letters on, within two from eight on."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.masking.near_spellings import SHORTEST_NEAR, NearIndex

NAMES = ["hawksmoor", "picot", "poe", "querfurth"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def index() -> NearIndex:
    return NearIndex(NAMES)


@pytest.mark.parametrize(
    "word",
    ["hawksmoor", "hawksmor", "hawksmooor", "hawksmoar", "hawskmoor", "awksmoor", "hawksmoors"],
    ids=["equal", "missing", "doubled", "replaced", "swapped", "first letter", "added"],
)
def test_one_edit_is_near(index: NearIndex, word: str) -> None:
    assert index.has_near(word)


@pytest.mark.parametrize("word", ["hawksmore", "hakwsmor", "hwksmoar", "quehrfurt"])
def test_two_edits_are_near_in_a_long_word(index: NearIndex, word: str) -> None:
    assert index.has_near(word)


@pytest.mark.parametrize("word", ["pikott", "pio", "po", "poes", "hawthorne", "hwksmor", "moor", ""])
def test_more_edits_or_shorter_words_are_far(index: NearIndex, word: str) -> None:
    assert not index.has_near(word)


def test_a_short_name_must_be_spelled_exactly(index: NearIndex) -> None:
    assert index.has_near("poe")
    assert not index.has_near("pow")
    assert len("poe") < SHORTEST_NEAR


def test_an_empty_index_has_nothing_near() -> None:
    assert not NearIndex([]).has_near("hawksmoor")


@given(st.text(LETTERS, min_size=8, max_size=12), st.data())
def test_every_deletion_and_replacement_is_found(name: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    index = NearIndex([name])
    assert index.has_near(name[:position] + name[position + 1 :])
    assert index.has_near(name[:position] + letter + name[position + 1 :])
    assert index.has_near(name[:position] + letter + name[position:])


def test_a_word_of_thousands_of_letters_is_no_name_and_takes_no_time() -> None:
    long = "hawksmoor" * 1000
    assert not NearIndex([long, "hawksmoor"]).has_near(long)


@pytest.mark.slow
def test_the_names_of_a_large_document_take_little_memory() -> None:
    letters = random.Random(7)
    names = ["".join(letters.choices(LETTERS, k=9)) for _ in range(2000)]
    tracemalloc.start()
    try:
        index = NearIndex(names)
        assert tracemalloc.get_traced_memory()[1] < 2000 * 2500
    finally:
        tracemalloc.stop()
    assert index.has_near(names[-1][:3] + names[-1][4:])
