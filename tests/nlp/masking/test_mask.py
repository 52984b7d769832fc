# ruff: noqa: E501  -- hostile strings read best on one line
"""Masking and its exact inverse, whatever the text, the spans and the policy."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.entity_types import ENTITY_TYPES, GENERALIZED_TYPES
from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text, split_pieces
from lexveil.nlp.masking.mask import mask_text, restore_text
from lexveil.nlp.masking.policy import Policy, build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span

POLICIES = {
    "tokens": build_policy(),
    "surrogates": build_policy(direct="surrogate", quasi="surrogate"),
    "generalised": build_policy(direct="generalise", quasi="generalise"),
    "published": build_policy("court-publication"),
}
HOSTILE = [
    "[PERSON_1]", "[DATE_2]", "Ann Roe", "\u200b", "a\u0301", "\u202eeoR", "Ｒｏｅ", "Rое", "\U0001f600", "\ud800",
    "张三", "张某某", "12 March 2020", "34", "12 Mill Lane, Leeds LS1 4AB", "EUR 12,500", "a@example.org", "J.R.", "\r\n", "\x1f",
]  # fmt: skip


def span(start: int, end: int, kind: str = "PERSON") -> Span:
    return Span(start, end, kind, 0.9, "Test")


def seed(kind: str, name: str, attempt: int) -> int:
    told = f"{kind}|{name}|{attempt}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(told).digest()[:8])


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    pieces = draw(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(HOSTILE)), max_size=8))
    text = "".join(pieces)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    kinds = st.sampled_from(ENTITY_TYPES)
    return text, [span(a, b, draw(kinds)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


def whole(text: str, spans: list[Span], policy: Policy) -> CheckedText:
    return anonymize_text(text, spans, policy, Scope([DocumentNames.read(text, spans)], seed))


@settings(deadline=None)
@given(texts_with_spans(), st.sampled_from(sorted(POLICIES)))
def test_round_trip_is_exact(case: tuple[str, list[Span]], name: str) -> None:
    text, spans = case
    scope = Scope([DocumentNames.read(text, spans)], seed)
    masked = mask_text(text, spans, POLICIES[name], scope)
    assert restore_text(masked.text, masked.replacements) == text
    assert all(masked.text[r.start : r.end] == r.text for r in masked.replacements)
    assert all(text[r.source_start : r.source_end] == r.original for r in masked.replacements)
    assert [k.span for k in masked.kept] + [
        s for s in spans if s not in {k.span for k in masked.kept}
    ] != [] or not spans


@settings(deadline=None)
@given(texts_with_spans(), st.sampled_from(sorted(POLICIES)))
def test_so_it_is_after_the_second_pass_and_always_the_same(case: tuple[str, list[Span]], name: str) -> None:
    text, spans = case
    checked = whole(text, spans, POLICIES[name])
    assert restore_text(checked.text, checked.masked.replacements) == text
    assert checked == whole(text, spans, POLICIES[name])


@settings(deadline=None)
@given(texts_with_spans(), st.integers(1, 30))
def test_pieces_are_the_whole(case: tuple[str, list[Span]], size: int) -> None:
    text, spans = case
    pieces = list(split_pieces(text, spans, size=size))
    scope = Scope([DocumentNames.read(text, spans)], seed)
    checked = anonymize_text(text, spans, POLICIES["tokens"], scope, size=size)
    assert "".join(piece.text for piece in pieces) == text
    assert [(piece.start + s.start, piece.start + s.end) for piece in pieces for s in piece.spans] == [
        (s.start, s.end) for s in spans
    ]
    assert restore_text(checked.text, checked.masked.replacements) == text


def test_numbers_follow_first_appearance_and_entities() -> None:
    text = "Ann Roe met Bob Poe. Roe left Poe on 1 May 2020."
    masked = mask_text(text, [span(0, 7), span(12, 19), span(21, 24), span(30, 33), span(37, 47, "DATE")])
    assert masked.text == "[PERSON_1] met [PERSON_2]. [PERSON_1] left [PERSON_2] on [DATE_1]."


def test_a_token_of_the_text_itself_is_never_reused() -> None:
    masked = mask_text("[PERSON_1] is Ann Roe", [span(14, 21)])
    assert masked.text == "[PERSON_1] is [PERSON_2]"
    assert restore_text(masked.text, masked.replacements) == "[PERSON_1] is Ann Roe"


def test_a_style_for_each_type() -> None:
    text = (
        "Ann Roe, 34, of 3 Mill Lane, Leeds LS1 4AB, wrote on 1 May 2020 to a@example.org about no. 12345/99."
    )
    places = {
        "PERSON": "Ann Roe", "AGE": "34", "ADDRESS": "3 Mill Lane, Leeds LS1 4AB", "DATE": "1 May 2020",
        "EMAIL": "a@example.org", "CASE_NUMBER": "12345/99",
    }  # fmt: skip
    spans = sorted(span(text.index(s), text.index(s) + len(s), kind) for kind, s in places.items())
    types = {kind: "generalise" for kind in places if kind in GENERALIZED_TYPES}
    policy = build_policy(types={**types, "CASE_NUMBER": "keep"}, dates="month")  # pyright: ignore
    masked = mask_text(text, spans, policy)
    assert masked.text == "A.R., 30-39, of Leeds, wrote on May 2020 to [EMAIL_1] about no. 12345/99."
    assert [kept.span.type for kept in masked.kept] == ["CASE_NUMBER"]
    assert restore_text(masked.text, masked.replacements) == text


@pytest.mark.parametrize(
    "spans", [[span(3, 5), span(0, 2)], [span(0, 3), span(2, 5)], [span(2, 2)], [span(0, 99)]]
)
def test_bad_spans_are_refused_without_text(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match="span") as error:
        mask_text("Secret", spans)
    assert "Secret" not in str(error.value)


def test_restore_refuses_another_text() -> None:
    masked = mask_text("Ann Roe", [span(0, 7)])
    with pytest.raises(ValueError, match="replacement 0"):
        restore_text("something else", masked.replacements)


def test_reprs_hold_no_text() -> None:
    masked = mask_text("It was Ann Roe", [span(7, 14)])
    assert "Roe" not in repr(masked)
    assert "It was" not in repr(masked)
