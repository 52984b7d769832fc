"""Masking and its exact inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.mask import mask, restore
from nlp.text import ENTITY_TYPES, Span


def span(start: int, end: int, kind: str = "PERSON") -> Span:
    return Span(start, end, kind, 0.9, "Test")


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    pieces = draw(
        st.lists(
            st.one_of(st.text(max_size=12), st.sampled_from(["[PERSON_1]", "[DATE_2]", "Ann Roe", "\u200b"])),
            max_size=8,
        )
    )
    text = "".join(pieces)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    kinds = st.sampled_from(ENTITY_TYPES)
    return text, [span(a, b, draw(kinds)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


@given(texts_with_spans())
def test_round_trip_is_exact(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    masked = mask(text, spans)
    assert restore(masked.text, masked.replacements) == text
    assert all(masked.text[r.start : r.end] == r.text for r in masked.replacements)


def test_numbers_follow_first_appearance_and_entities() -> None:
    text = "Ann Roe met Bob Poe. Roe left Poe on 1 May 2020."
    masked = mask(text, [span(0, 7), span(12, 19), span(21, 24), span(30, 33), span(37, 47, "DATE")])
    assert masked.text == "[PERSON_1] met [PERSON_2]. [PERSON_1] left [PERSON_2] on [DATE_1]."


def test_a_token_of_the_text_itself_is_never_reused() -> None:
    masked = mask("[PERSON_1] is Ann Roe", [span(14, 21)])
    assert masked.text == "[PERSON_1] is [PERSON_2]"
    assert restore(masked.text, masked.replacements) == "[PERSON_1] is Ann Roe"


@pytest.mark.parametrize(
    "spans", [[span(3, 5), span(0, 2)], [span(0, 3), span(2, 5)], [span(2, 2)], [span(0, 99)]]
)
def test_bad_spans_are_refused_without_text(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match="span") as error:
        mask("Secret", spans)
    assert "Secret" not in str(error.value)


def test_restore_refuses_another_text() -> None:
    masked = mask("Ann Roe", [span(0, 7)])
    with pytest.raises(ValueError, match="replacement 0"):
        restore("something else", masked.replacements)


def test_reprs_hold_no_text() -> None:
    masked = mask("It was Ann Roe", [span(7, 14)])
    assert "Roe" not in repr(masked)
    assert "It was" not in repr(masked)
