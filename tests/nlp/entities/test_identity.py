"""Who is who."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.identity import Identities, find_distinct_pairs, read_mention
from lexveil.nlp.text import Span


def cluster(text: str, spans: list[Span]) -> list[int]:
    """The entity of each span, numbered by first appearance."""
    mentions = [read_mention(text, span) for span in spans]
    identities = Identities(mentions, find_distinct_pairs(text, spans, mentions))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(identities.entity(mention), len(numbers)) for mention in mentions]


def entities(text: str, *names: str, kind: str = "PERSON") -> list[int]:
    spans: list[Span] = []
    position = 0
    for name in names:
        start = text.index(name, position)
        position = start + len(name)
        spans.append(Span(start, position, kind, 0.9, "Test"))
    return cluster(text, spans)


def test_aliases_of_one_person() -> None:
    text = "Mr John A. Smith spoke. John Smith left. J. Smith and Smith returned, JOHN SMITH too."
    assert entities(text, "John A. Smith", "John Smith", "J. Smith", "Smith", "JOHN SMITH") == [0, 0, 0, 0, 0]


def test_a_surname_of_two_people_stays_on_its_own() -> None:
    assert entities("John Smith and Mary Smith; Smith paid.", "John Smith", "Mary Smith", "Smith") == [
        0,
        1,
        2,
    ]


def test_a_title_tells_husband_from_wife() -> None:
    text = "Mr John Smith and Mrs Mary Smith; Mr Smith paid, Mrs Smith left."
    assert entities(text, "John Smith", "Mary Smith", "Smith", "Smith") == [0, 1, 0, 1]


def test_father_and_son() -> None:
    text = "Karl Poe Sr. and Karl Poe Jr. met Karl Poe Sr."
    assert entities(text, "Karl Poe Sr.", "Karl Poe Jr.", "Karl Poe Sr.") == [0, 1, 0]


def test_surname_first() -> None:
    assert entities("Poe, Karl then Karl Poe", "Poe, Karl", "Karl Poe") == [0, 0]


@pytest.mark.parametrize("kind", ["ORGANIZATION", "ADDRESS", "CASE_NUMBER"])
def test_other_types_fold_case_space_and_punctuation(kind: str) -> None:
    assert entities(
        "Acme Corp. / ACME  CORP / Acme Co", "Acme Corp.", "ACME  CORP", "Acme Co", kind=kind
    ) == [0, 0, 1]


def test_chinese_names_are_equal_or_different() -> None:
    assert entities("张伟诉张某，张伟胜诉", "张伟", "张某", "张伟") == [0, 1, 0]


def test_types_never_share_an_entity() -> None:
    spans = [Span(0, 3, "PERSON", 0.9, "T"), Span(4, 7, "ORGANIZATION", 0.9, "T")]
    assert cluster("Roe Roe", spans) == [0, 1]
