"""First names from public lists: names, not words that happen to be names too."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.given_names import is_given_name


@pytest.mark.parametrize("name", ["anna", "jürgen", "giulia", "zoltán", "magdalena", "isabelle"])
def test_first_names_of_several_languages(name: str) -> None:
    assert is_given_name(name)


@pytest.mark.parametrize("word", ["", "an", "table", "court", "mark", "will", "grace", "klage"])
def test_words_and_short_strings_are_none(word: str) -> None:
    assert not is_given_name(word)


def test_the_word_must_be_folded() -> None:
    assert not is_given_name("Anna")
