"""Competing findings about the same characters become one sequence of spans."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.detection.overlaps import drop_touching, resolve_overlaps
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span

TEXT = "Margaret Thornbury of Elmsworth, no. 1:19-cv-01234, paid."
RULE = "PersonRecognizer"


def spans() -> st.SearchStrategy[list[Span]]:
    one = st.builds(
        lambda start, length, kind, score, by: Span(start, min(start + length, len(TEXT)), kind, score, by),
        st.integers(0, len(TEXT) - 1),
        st.integers(1, 30),
        st.sampled_from(["PERSON", "DATE", "ORGANIZATION"]),
        st.floats(0.1, 1.0),
        st.sampled_from([LEARNED, RULE]),
    )
    return st.lists(one, max_size=8)


def find(text: str, piece: str, kind: str = "PERSON", score: float = 0.9, by: str = RULE) -> Span:
    start = text.index(piece)
    return Span(start, start + len(piece), kind, score, by)


def settle(text: str, *found: Span) -> list[tuple[str, str]]:
    """Return (characters, type) of each span that remains."""
    return [(text[s.start : s.end], s.type) for s in resolve_overlaps(text, found)]


@given(spans())
def test_nothing_that_was_found_becomes_readable(found: list[Span]) -> None:
    settled = resolve_overlaps(TEXT, found)
    assert all(a.end <= b.start for a, b in pairwise(settled))
    covered = {position for span in settled for position in range(span.start, span.end)}
    wanted = {position for span in found for position in range(span.start, span.end)}
    assert {position for position in wanted if TEXT[position].isalnum()} <= covered


@given(spans())
def test_the_order_of_findings_does_not_matter(found: list[Span]) -> None:
    assert resolve_overlaps(TEXT, found) == resolve_overlaps(TEXT, found[::-1])
    assert resolve_overlaps(TEXT, [*found, *found]) == resolve_overlaps(TEXT, found)


def test_a_rule_decides_the_type_and_a_model_may_add_characters() -> None:
    found = [
        find(TEXT, "1:19-cv-01234", "CASE_NUMBER", 0.8, "CaseNumberRecognizer"),
        find(TEXT, "no. 1:19-cv-01234", "QUANTITY", 0.99, LEARNED),
    ]
    assert settle(TEXT, *found) == [("no.", "QUANTITY"), ("1:19-cv-01234", "CASE_NUMBER")]


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (find(TEXT, "Margaret Thornbury"), find(TEXT, "Thornbury", "LOCATION"), "PERSON"),
        (find(TEXT, "Margaret", "PERSON", 0.9), find(TEXT, "Margaret", "LOCATION", 0.8), "PERSON"),
        (find(TEXT, "Margaret", "PERSON", 0.8), find(TEXT, "Margaret", "LOCATION", 0.9), "LOCATION"),
        (find(TEXT, "Margaret", "PERSON", 0.7), find(TEXT, "Margaret", "LOCATION", 0.8), "LOCATION"),
        (find(TEXT, "Margaret", "PERSON", 1.0, LEARNED), find(TEXT, "Margaret", "LOCATION", 0.8), "LOCATION"),
        (find(TEXT, "1:19", "DATE", 0.98, RULE), find(TEXT, "1:19", "BIRTH_DATE", 0.95), "BIRTH_DATE"),
    ],
    ids=[
        "longer",
        "surer",
        "surer, the other way round",
        "sure before guessed",
        "rule before model",
        "more than a date",
    ],
)
def test_one_of_two_findings_wins(first: Span, second: Span, winner: str) -> None:
    assert {kind for _, kind in settle(TEXT, first, second)} == {winner}


@pytest.mark.parametrize(
    ("text", "pieces", "kind", "expected"),
    [
        ("Karl Poe", ("Karl", "Poe"), "PERSON", ["Karl Poe"]),
        ("Karl A. Poe", ("Karl", "Poe"), "PERSON", ["Karl A. Poe"]),
        ("Karl\nPoe", ("Karl", "Poe"), "PERSON", ["Karl\nPoe"]),
        ("Karl, Poe", ("Karl", "Poe"), "PERSON", ["Karl", "Poe"]),
        ("Karl and Poe", ("Karl", "Poe"), "PERSON", ["Karl", "Poe"]),
        ("赵立强钱晓梅", ("赵立强", "钱晓梅"), "PERSON", ["赵立强", "钱晓梅"]),
        ("12 Mill Lane,\nLeeds", ("12 Mill Lane", "Leeds"), "ADDRESS", ["12 Mill Lane,\nLeeds"]),
        ("Tyrell Holdings", ("Tyrell", "Holdings"), "ORGANIZATION", ["Tyrell Holdings"]),
        ("Leeds York", ("Leeds", "York"), "LOCATION", ["Leeds", "York"]),
    ],
)
def test_parts_of_one_name_are_joined(
    text: str, pieces: tuple[str, str], kind: str, expected: list[str]
) -> None:
    settled = settle(text, *(find(text, piece, kind) for piece in pieces))
    assert [piece for piece, _ in settled] == expected


@pytest.mark.parametrize(
    ("pieces", "people"),
    [
        ("王芳 李明 张伟", ["王芳", "李明", "张伟"]),
        ("孙悦\n尤娜", ["孙悦", "尤娜"]),
        ("张 三", ["张 三"]),
        ("欧阳\n雪", ["欧阳\n雪"]),
        ("CHAN 陈大文", ["CHAN 陈大文"]),
    ],
)
def test_chinese_names_beside_each_other_are_several_people(pieces: str, people: list[str]) -> None:
    settled = settle(pieces, *(find(pieces, piece) for piece in pieces.split()))
    assert [person for person, _ in settled] == people


def test_a_joined_name_has_the_higher_score() -> None:
    found = [find("Karl Poe", "Karl", score=0.6), find("Karl Poe", "Poe", score=0.9)]
    assert [span.score for span in resolve_overlaps("Karl Poe", found)] == [0.9]


@pytest.mark.parametrize(
    ("text", "loser", "winner", "rest"),
    [
        ("Elmsworth, Karl Poe", "Elmsworth, Karl Poe", "Karl Poe", ["Elmsworth"]),
        ("(J. Karl Poe", "(J. Karl Poe", "Karl Poe", ["J."]),
        ("-- Karl Poe", "-- Karl Poe", "Karl Poe", []),
        ("Acme Inc. Karl Poe", "Acme Inc. Karl Poe", "Karl Poe", ["Acme Inc."]),
    ],
)
def test_the_rest_of_a_losing_span_is_trimmed(text: str, loser: str, winner: str, rest: list[str]) -> None:
    settled = settle(text, find(text, loser, "MISC", 0.5), find(text, winner))
    assert [piece for piece, kind in settled if kind == "MISC"] == rest


@pytest.mark.parametrize(
    ("span", "kept"),
    [
        (Span(2, 8, "EMAIL", 1.0, "EmailRecognizer"), True),
        (Span(2, 8, "EMAIL", 0.9, "EmailRecognizer"), False),
        (Span(2, 8, "ORGANIZATION", 1.0, LEARNED), False),
        (Span(2, 8, "PERSON", 1.0, RULE), False),
        (Span(2, 8, "DATE", 0.98, RULE), False),
        (Span(18, 25, "DATE", 0.5, RULE), False),
        (Span(20, 25, "DATE", 0.5, RULE), True),
        (Span(40, 44, "DATE", 0.5, RULE), True),
        (Span(28, 31, "DATE", 0.5, RULE), False),
        (Span(25, 30, "DATE", 0.5, RULE), True),
    ],
    ids=[
        "check digit",
        "no proof",
        "probability",
        "person",
        "sure date",
        "overlap",
        "adjacent",
        "behind",
        "second",
        "between",
    ],
)
def test_only_an_unmistakable_span_is_kept_within_a_citation(span: Span, kept: bool) -> None:
    assert drop_touching([span], [(0, 20), (30, 40)]) == [span] * kept
    assert drop_touching([span], []) == [span]
