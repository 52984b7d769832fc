"""Text layers under a foreign cipher are found, font by font, and decoded where that is certain."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.ciphers import TEXTS, build_pdf, list_ciphers, number_glyphs, permute
from lexveil.nlp.readers import Reason, UnreadableError, read_document


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """The text of a PDF, or the reason why it has none, on a machine without Tesseract."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))

    def call(data: bytes) -> str:
        path = tmp_path / "a.pdf"
        path.write_bytes(data)
        try:
            return read_document(path)
        except UnreadableError as unreadable:
            return unreadable.reason

    return call


def is_found(text: str, got: str) -> bool:
    # Some marks of a shifted text are white space.
    return got == Reason.unreadable_text or re.findall(r"\w+", got) == re.findall(r"\w+", text)


@pytest.mark.slow
@pytest.mark.parametrize("language", TEXTS)
def test_ciphers_of_a_whole_layer_are_found(outcome: Callable[[bytes], str], language: str) -> None:
    text = TEXTS[language]
    assert outcome(build_pdf([(text, None)])).split() == text.split()
    missed = [
        name
        for name, cipher in list_ciphers(text).items()
        if not is_found(text, outcome(build_pdf([(text, cipher)])))
    ]
    assert missed == []


@pytest.mark.slow
@pytest.mark.parametrize("language", TEXTS)
def test_ciphers_of_one_font_of_two_are_found(outcome: Callable[[bytes], str], language: str) -> None:
    text = TEXTS[language]
    both = f"{text}\n{text}"
    missed = [
        name
        for name, cipher in list_ciphers(text).items()
        if not is_found(both, outcome(build_pdf([(text, None), (text, cipher)])))
    ]
    assert missed == []


def test_glyph_numbers_are_decoded(outcome: Callable[[bytes], str]) -> None:
    text = TEXTS["English"]
    assert outcome(build_pdf([(text, number_glyphs())])).split() == text.split()
    mixed = outcome(build_pdf([(text, None), (text, number_glyphs())]))
    assert mixed.split() == text.split() * 2


def test_fonts_that_are_drawn(outcome: Callable[[bytes], str]) -> None:
    text = TEXTS["English"]
    assert (
        outcome(build_pdf([(text, permute(list(string.ascii_letters), 5))], type3=True))
        is Reason.unreadable_text
    )


TABLE = "\n".join(f"{n}  {n * 1234.5:,.2f}  ({n}.5%)  $ {n * 77}.00  2019-0{n}-1{n}" for n in range(1, 10))
CAPITALS = (
    "IN THE COUNTY COURT AT BATH\nBETWEEN MARIANNE OBERHOLZER\nCLAIMANT AND GREGOR LINDQVIST\nDEFENDANT"
)
NAMES = "\n".join(
    f"{first} {last}" for first in ("Ann", "Zbyszko", "Xu") for last in ("Ng", "Brzęk", "Oduya")
)
FORMULAS = "f(x) = a*x^2 + b*x + c; E = m*c^2; |x| < 1/n => x -> 0\n" + TEXTS["English"]
CODES = "\n".join(
    f"VIN 1HGCM82633A00{n}352, policy AB-{n}77/19-C, IBAN GB82WEST1234569876543{n}" for n in range(9)
)


@pytest.mark.parametrize(
    "text", [TABLE, CAPITALS, NAMES.replace("ę", "e"), FORMULAS, CODES, "Exhibit 7", "§ 12 a"]
)
def test_what_is_no_prose_is_no_alarm(outcome: Callable[[bytes], str], text: str) -> None:
    assert outcome(build_pdf([(text, None)])).split() == text.split()
