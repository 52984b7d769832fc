"""TAB's metrics, on texts small enough to count by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan, Identifier
from lexveil.nlp.evaluation.scoring import score
from lexveil.nlp.text import Span

TEXT = "Mr Adam Quill of Leeds sued. Quill, aged 40, lives in Leeds; Mr Quill won."


def at(string: str, nth: int = 0, text: str = TEXT) -> tuple[int, int]:
    return [match.span() for match in re.finditer(re.escape(string), text)][nth]


def gold(
    string: str, nth: int = 0, kind: str = "PERSON", entity: str = "e1", identifier: Identifier = "DIRECT"
) -> GoldSpan:
    return GoldSpan(*at(string, nth), kind, entity, identifier)


def found(string: str, nth: int = 0, kind: str = "PERSON") -> Span:
    return Span(*at(string, nth), kind, 1.0, "X")


def document(*annotations: Sequence[GoldSpan], text: str = TEXT, language: str = "en") -> GoldDocument:
    return GoldDocument("d", text, language, tuple(tuple(spans) for spans in annotations))


PERSON = (gold("Mr Adam Quill"), gold("Quill", 1), gold("Mr Quill"))
PLACE = (
    gold("Leeds", 0, "LOCATION", "e2", "QUASI"),
    gold("Leeds", 1, "LOCATION", "e2", "QUASI"),
)


def test_one_missed_mention_fails_its_entity() -> None:
    all_of_him = [found("Adam Quill"), found("Quill", 1), found("Quill", 2)]
    whole = score([document([*PERSON, *PLACE])], [[*all_of_him, found("Leeds")]])
    assert (whole.er_di, whole.er_qi) == (1.0, 0.0)
    assert (whole.n, whole.n_direct, whole.n_quasi, whole.n_spans) == (1, 1, 1, 5)
    # Of Mr Adam Quill, Quill, Mr Quill, Leeds, Leeds; "Mr" may stay.
    assert whole.n_tokens == 8
    assert whole.token_recall == 7 / 8
    assert whole.token_precision == 1.0
    part = score([document([*PERSON, *PLACE])], [[*all_of_him[:2], found("Leeds"), found("Leeds", 1)]])
    assert (part.er_di, part.er_qi) == (0.0, 1.0)


def test_words_and_punctuation_that_tell_nothing_may_stay() -> None:
    text = "He was born in the village of Ash, and paid £5."
    spans = [GoldSpan(*at("in the village of Ash,", text=text), "LOCATION", "e1", "QUASI")]
    village, ash = at("village", text=text), at("Ash", text=text)
    masked = [Span(*village, "LOCATION", 1, "X"), Span(*ash, "LOCATION", 1, "X")]
    assert score([document(spans, text=text)], [masked]).er_qi == 1.0
    assert score([document(spans, text=text)], [masked[:1]]).er_qi == 0.0
    # Parts of speech are read in English only.
    assert score([document(spans, text=text, language="de")], [masked]).er_qi == 0.0


def test_what_needs_no_masking_counts_for_nothing_but_precision() -> None:
    spans = [gold("Mr Adam Quill"), gold("Leeds", 0, "LOCATION", "e2", "NO_MASK")]
    result = score([document(spans)], [[found("Adam Quill"), found("Leeds")]])
    assert (result.er_di, result.er_qi, result.n_quasi) == (1.0, None, 0)
    assert result.token_precision == 2 / 3


def test_a_mention_of_a_masked_entity_that_may_stay() -> None:
    spans = [gold("Adam Quill"), gold("Quill", 1, identifier="NO_MASK")]
    assert score([document(spans)], [[found("Adam Quill")]]).er_di == 1.0


def test_a_token_must_be_covered_whole_by_one_annotation() -> None:
    cut = GoldSpan(at("Quill")[0], at("Quill")[1] - 1, "PERSON", "e1", "DIRECT")
    assert score([document([cut])], [[found("Quill")]]).token_precision == 0.0


def test_several_annotators_are_a_micro_average() -> None:
    one, other = [gold("Adam Quill")], [gold("Adam Quill"), gold("40", 0, "QUANTITY", "e9", "QUASI")]
    result = score([document(one, other)], [[found("Adam Quill"), found("40", 0, "AGE")]])
    assert (result.n_direct, result.er_di, result.er_qi) == (2, 1.0, 1.0)
    assert result.token_recall == 1.0
    assert result.token_precision == 5 / 6  # two tokens by both, one by one of two


def test_spans_by_place_and_type() -> None:
    spans = [found("Mr Adam Quill"), found("Quill", 1, "ORGANIZATION"), found("40", 0, "AGE")]
    result = score([document(PERSON)], [spans])
    assert (result.span_precision, result.span_recall) == (1 / 3, 1 / 3)
    assert (result.overlap_precision, result.overlap_recall) == (2 / 3, 2 / 3)
    assert result.span_f1 == pytest.approx(1 / 3)
    person, firm = result.by_type["PERSON"], result.by_type["ORGANIZATION"]
    assert (person.n, person.recall, person.found, person.precision) == (3, 2 / 3, 1, 1.0)
    assert (firm.n, firm.recall, firm.found, firm.precision) == (0, None, 1, 1.0)


def test_shares_of_nothing_are_none() -> None:
    result = score([document([])], [[]])
    assert {result.er_di, result.er_qi, result.token_recall, result.token_precision} == {None}
    assert result.as_dict()["span_f1"] is None
    assert score([], []).n == 0


def test_results_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="outside a text of"):
        score([document([])], [[Span(0, 999, "PERSON", 1, "X")]])
    with pytest.raises(ValueError, match="shorter"):
        score([document([])], [])


@given(st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 20)), max_size=8))
def test_masking_everything_finds_everything_and_more_never_finds_less(cuts: list[tuple[int, int]]) -> None:
    spans = [Span(start, min(len(TEXT), start + size), "MISC", 1, "X") for start, size in cuts]
    doc = document([*PERSON, *PLACE])
    some, everything = score([doc], [spans]), score([doc], [[Span(0, len(TEXT), "MISC", 1, "X")]])
    assert everything.er_di == everything.er_qi == everything.token_recall == 1.0
    more = score([doc], [[*spans, found("Quill", 2)]])
    assert more.token_recall is not None
    assert some.token_recall is not None
    assert some.token_recall <= more.token_recall <= 1.0
