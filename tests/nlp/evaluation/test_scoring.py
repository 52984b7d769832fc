"""TAB's metrics, on texts small enough to count by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan, Identifier
from lexveil.nlp.evaluation.scoring import Scores, score
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def score_one(
    text: str, marked: str, kind: Identifier, masked: Sequence[str], language: str = "en"
) -> Scores:
    """Score one document with a single mention, `marked`, of which the pieces `masked` are masked."""
    spans = [GoldSpan(*at(marked, text=text), "PERSON", "e1", kind)]
    findings = [Span(*at(piece, text=text), "PERSON", 1.0, "X") for piece in masked]
    return score([document(spans, text=text, language=language)], [findings])


@pytest.mark.parametrize(
    ("marked", "masked", "share"),
    [
        ("Mr Adam Quill", ["Adam Quill"], 1.0),
        ("Mr Adam Quill", ["Mr Adam Quill"], 1.0),
        ("Mr Adam Quill", ["Adam", "Quill"], 1.0),
        ("Mr Adam Quill", ["Adam"], 0.0),
        ("Mr Adam Quill", ["Adam Quil"], 0.0),
        ("Mr Adam Quill", [], 0.0),
        ("Quill of Leeds", ["Quill", "Leeds"], 1.0),
        ("Quill of Leeds", ["Quill of"], 0.0),
        ("aged 40, lives in", ["aged 40", "lives"], 1.0),
        ("aged 40, lives in", ["40", "lives"], 0.0),
    ],
)
def test_an_entity_is_masked_when_only_uninformative_characters_are_left(
    marked: str, masked: list[str], share: float
) -> None:
    assert score_one(TEXT, marked, "DIRECT", masked).er_di == share
    assert score_one(TEXT, marked, "QUASI", masked).er_qi == share


@pytest.mark.parametrize(
    ("language", "text", "marked", "masked", "share"),
    [
        ("de", "Herr Quill aus Leeds", "Quill aus Leeds", ["Quill", "Leeds"], 0.0),
        ("de", "no. 12, Quill", "no. 12, Quill", ["12", "Quill"], 1.0),
        ("", "Mr Quill", "Mr Quill", ["Quill"], 1.0),
        ("zh", "赵立强，男", "赵立强，男", ["赵立强", "男"], 0.0),
        ("zh", "赵立强(男)", "赵立强(男)", ["赵立强", "男"], 1.0),
        ("en", "the Quill-Pell Act", "Quill-Pell", ["Quill", "Pell"], 1.0),
        ("en", "“Quill”", "“Quill”", ["Quill"], 1.0),
    ],
)
def test_uninformative_characters_of_other_languages(
    language: str, text: str, marked: str, masked: list[str], share: float
) -> None:
    assert score_one(text, marked, "DIRECT", masked, language).er_di == share


@pytest.mark.parametrize(
    ("pieces", "exact", "overlapping"),
    [
        ([], (None, 0.0), (None, 0.0)),
        (["Mr Adam Quill"], (1.0, 1.0), (1.0, 1.0)),
        (["Adam"], (0.0, 0.0), (1.0, 1.0)),
        (["Adam", "Quill"], (0.0, 0.0), (1.0, 1.0)),
        (["Mr Adam Quill", "Leeds"], (0.5, 1.0), (0.5, 1.0)),
        (["Mr Adam Quill", "Mr Adam Quill"], (1.0, 1.0), (1.0, 1.0)),
        (["Leeds"], (0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_span_scores(
    pieces: list[str], exact: tuple[float | None, float], overlapping: tuple[float | None, float]
) -> None:
    result = score([document([gold("Mr Adam Quill")])], [[found(piece) for piece in pieces]])
    assert (result.span_precision, result.span_recall) == exact
    assert (result.overlap_precision, result.overlap_recall) == overlapping


def test_f1_is_the_harmonic_mean() -> None:
    result = score([document([gold("Mr Adam Quill"), gold("Leeds", 0, "LOCATION", "e2")])], [[found("Adam")]])
    assert (result.overlap_precision, result.overlap_recall) == (1.0, 0.5)
    assert result.overlap_f1 == pytest.approx(2 / 3)
    assert result.span_f1 == 0.0
    assert score([document([gold("Quill")])], [[]]).span_f1 is None


def test_a_type_is_masked_under_any_type_and_given_over_any_mention() -> None:
    spans = [
        gold("Mr Adam Quill"),
        gold("Leeds", 0, "LOCATION", "e2", "QUASI"),
        gold("40", 0, "AGE", "e3", "NO_MASK"),
    ]
    findings = [found("Adam Quill", 0, "MISC"), found("40", 0, "AGE"), found("Leeds", 1, "LOCATION")]
    by_type = score([document(spans)], [findings]).by_type
    assert sorted(by_type) == ["AGE", "LOCATION", "MISC", "PERSON"]
    assert (by_type["PERSON"].n, by_type["PERSON"].recall) == (1, 1.0)
    assert (by_type["MISC"].found, by_type["MISC"].precision) == (1, 1.0)
    assert (by_type["LOCATION"].recall, by_type["LOCATION"].precision) == (0.0, 0.0)
    assert (by_type["AGE"].n, by_type["AGE"].found, by_type["AGE"].precision) == (0, 1, 0.0)


def test_documents_are_counted_together() -> None:
    one, other = document([gold("Mr Adam Quill")]), document([gold("Mr Adam Quill"), *PLACE])
    result = score([one, other], [[found("Adam Quill")], []])
    assert (result.n, result.n_direct, result.n_quasi, result.n_spans) == (2, 2, 1, 4)
    assert (result.er_di, result.er_qi) == (0.5, 0.0)
    assert result.token_recall == 4 / 8  # "Mr" may stay


@pytest.mark.parametrize("found_spans", [[], [Span(3, 3, "PERSON", 1.0, "X")]])
def test_an_empty_span_masks_nothing(found_spans: list[Span]) -> None:
    result = score([document([gold("Mr Adam Quill")])], [found_spans])
    assert (result.er_di, result.token_precision) == (0.0, None)


def test_overlapping_spans_mask_a_token_once() -> None:
    result = score([document([gold("Adam Quill")])], [[found("Adam Quill"), found("Quill"), found("Leeds")]])
    assert result.token_precision == 2 / 3


def test_an_annotator_who_marked_nothing_has_no_part_in_precision() -> None:
    alone = score([document([gold("Adam Quill")])], [[found("Adam Quill")]])
    beside = score([document([gold("Adam Quill")], [])], [[found("Adam Quill")]])
    assert alone.token_precision == beside.token_precision == 1.0


def test_scores_as_plain_values() -> None:
    result = score(
        [document(PERSON)], [[found("Mr Adam Quill"), found("Quill", 1, "ORGANIZATION"), found("40")]]
    )
    values = result.as_dict()
    assert values["span_precision"] == 0.3333
    assert values["n_spans"] == 3
    assert values["er_qi"] is None
    assert values["by_type"]["PERSON"] == {"n": 3, "recall": 0.6667, "found": 2, "precision": 0.5}
    assert set(values) == {
        *("n", "n_direct", "n_quasi", "n_tokens", "n_spans", "er_di", "er_qi", "token_recall"),
        *("token_precision", "span_precision", "span_recall", "span_f1"),
        *("overlap_precision", "overlap_recall", "overlap_f1", "by_type"),
    }


@pytest.mark.parametrize("span", [(-1, 2), (5, 4), (0, len(TEXT) + 1)])
def test_a_span_must_be_inside_its_text(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside a text of"):
        score([document([])], [[Span(*span, "PERSON", 1, "X")]])
