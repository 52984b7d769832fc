"""Classes of letters."""

from __future__ import annotations

import re

import pytest

from lexveil.nlp.letters import HAN, LOWER, SPACED_WORD, UPPER, has_han, to_latin


@pytest.mark.parametrize("character", ["一", "龥", "㐀", "𠀀", "𠮷", "𪜀", "𰀀"])
def test_chinese_characters_of_all_planes(character: str) -> None:
    assert has_han(f"a{character}b")
    assert re.fullmatch(f"[{HAN}]", character)
    assert not re.fullmatch(SPACED_WORD, character)


@pytest.mark.parametrize("character", ["a", "Ö", "7", "あ", "カ", "한", "。", "〇", "　", "🙂", ""])
def test_other_characters(character: str) -> None:
    assert not has_han(character)
    assert not re.fullmatch(f"[{HAN}]", character)


@pytest.mark.parametrize("character", ["a", "Ö", "7", "_", "я", "あ"])
def test_characters_of_words_with_spaces_between_them(character: str) -> None:
    assert re.fullmatch(SPACED_WORD, character)


@pytest.mark.parametrize("character", [" ", ".", "-", "@"])
def test_characters_between_words(character: str) -> None:
    assert not re.fullmatch(SPACED_WORD, character)


@pytest.mark.parametrize(
    ("upper", "lower"), [("A", "a"), ("Ö", "ö"), ("Ł", "ł"), ("Я", "я"), ("Σ", "σ"), ("Ş", "ş")]
)
def test_capitals_of_latin_greek_and_cyrillic(upper: str, lower: str) -> None:
    assert re.fullmatch(f"[{UPPER}]", upper)
    assert not re.fullmatch(f"[{UPPER}]", lower)
    assert re.fullmatch(f"[{LOWER}]", lower)
    assert not re.fullmatch(f"[{LOWER}]", upper)


def test_serbian_in_latin_letters() -> None:
    assert to_latin("Исказ Љубице Џанић, rođene 3. 5.") == "Iskaz Ljubice Džanić, rođene 3. 5."
    assert to_latin("Щукин") == "Щukin"  # no letter of Serbian stays
