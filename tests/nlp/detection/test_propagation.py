"""What was found once is found everywhere: people and companies invented for these tests."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.overlaps import resolve_overlaps
from lexveil.nlp.detection.propagation import propagate
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span

FILLER = "the sum was paid in full and on time as agreed between them\n" * 5_000


def places(text: str, name: str, kind: str = "PERSON", score: float = 0.9, by: str = LEARNED) -> list[str]:
    start = text.index(name)
    found = resolve_overlaps(text, propagate(text, [Span(start, start + len(name), kind, score, by)]))
    return [text[span.start : span.end] for span in found]


@pytest.mark.parametrize(
    ("text", "name", "kind", "expected"),
    [
        (
            "Osgood Pell came. Later Pell left with Osgood.",
            "Osgood Pell",
            "PERSON",
            ["Osgood Pell", "Pell", "Osgood"],
        ),
        (
            "Quillfeather Logistics LLC paid. Quillfeather Logistics owes.",
            "Quillfeather Logistics LLC",
            "ORGANIZATION",
            ["Quillfeather Logistics LLC", "Quillfeather Logistics"],
        ),
        ("He lives in Elmsworth. Elmsworth is far.", "Elmsworth", "LOCATION", ["Elmsworth", "Elmsworth"]),
        ("a bond of Mr Bond", "Bond", "PERSON", []),
    ],
    ids=["surname and first name", "without the legal form", "a place", "a word of the language"],
)
def test_further_mentions(text: str, name: str, kind: str, expected: list[str]) -> None:
    assert places(text, name, kind) == expected


@pytest.mark.parametrize(
    ("score", "by", "n"), [(0.4, LEARNED, 0), (0.6, LEARNED, 2), (0.4, "PersonRecognizer", 2)]
)
def test_a_model_must_think_it_likely(score: float, by: str, n: int) -> None:
    assert len(places("Osgood Pell came, and Osgood Pell left.", "Osgood Pell", score=score, by=by)) == n


def test_a_long_text_is_read_to_its_end() -> None:
    text = "Osgood Pell\n" + FILLER + "Then Osgood Pell\n" + FILLER + "Osgood Pell"
    assert len(text) > 2 << 18
    assert places(text, "Osgood Pell") == ["Osgood Pell"] * 3


@pytest.mark.parametrize("shift", range(0, 24, 3))
def test_a_name_across_two_stretches(shift: int) -> None:
    text = (
        "Osgood Pell "
        + "so " * ((1 << 18) // 3 - 6)
        + "x" * shift
        + " to Osgood Pell and so on "
        + "so " * 99
    )
    assert places(text, "Osgood Pell") == ["Osgood Pell"] * 2
