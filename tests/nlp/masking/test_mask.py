# ruff: noqa: E501  -- hostile strings read best on one line
"""Masking and its exact inverse, whatever the text, the spans and the policy."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
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
    content = f"{kind}|{name}|{attempt}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:8])


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    pieces = draw(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(HOSTILE)), max_size=8))
    text = "".join(pieces)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    kinds = st.sampled_from(ENTITY_TYPES)
    return text, [span(a, b, draw(kinds)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


def whole(text: str, spans: list[Span], policy: Policy) -> CheckedText:
    return anonymize_text(text, spans, policy, Scope([DocumentNames.read(text, spans)], seed))


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


@pytest.mark.slow
@given(texts_with_spans(), st.sampled_from(sorted(POLICIES)))
def test_so_it_is_after_the_second_pass_and_always_the_same(case: tuple[str, list[Span]], name: str) -> None:
    text, spans = case
    checked = whole(text, spans, POLICIES[name])
    assert restore_text(checked.text, checked.masked.replacements) == text
    assert checked == whole(text, spans, POLICIES[name])


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


def locate(text: str, *pieces: tuple[str, str]) -> list[Span]:
    """Return the spans of (characters, type) in a text."""
    return sorted(span(text.index(piece), text.index(piece) + len(piece), kind) for piece, kind in pieces)


def test_a_replacement_records_what_it_stands_for() -> None:
    text = "The witness, Ann Roe, spoke."
    (replacement,) = mask_text(text, [Span(13, 20, "PERSON", 0.75, "PersonRecognizer")]).replacements
    assert (replacement.original, replacement.text) == ("Ann Roe", "[PERSON_1]")
    assert (replacement.source_start, replacement.source_end) == (13, 20)
    assert (replacement.start, replacement.end) == (13, 23)
    assert (replacement.type, replacement.action, replacement.role) == ("PERSON", "token", "witness")
    assert (replacement.score, replacement.recognizer) == (0.75, "PersonRecognizer")


def test_a_shifted_replacement_keeps_its_text() -> None:
    masked = mask_text("It was Ann Roe", [span(7, 14)], policy_with(PERSON="keep", DATE="token"))
    (kept,) = masked.kept
    assert (kept.shift(100).span.start, kept.shift(100).span.end, kept.role) == (107, 114, kept.role)
    (replacement,) = mask_text("It was Ann Roe", [span(7, 14)]).replacements
    moved = replacement.shift(1000, 2000)
    assert (moved.start, moved.end) == (1007, 1017)
    assert (moved.source_start, moved.source_end) == (2007, 2014)
    assert moved.original == "Ann Roe"


def policy_with(**types: str) -> Policy:
    return build_policy(types=types)  # pyright: ignore[reportArgumentType]


def test_a_kept_span_stays_with_its_role() -> None:
    text = "Before: Judge Orme. The applicant, Ann Roe, complained."
    masked = mask_text(
        text, locate(text, ("Orme", "PERSON"), ("Ann Roe", "PERSON")), build_policy("court-publication")
    )
    assert masked.text == "Before: Judge Orme. The applicant, [PERSON_1], complained."
    assert [(kept.span.start, kept.role) for kept in masked.kept] == [(14, "judge")]


def test_one_role_of_a_person_decides_all_mentions() -> None:
    text = "Judge Ann Roe sat. The victim, Ann Roe, spoke."
    spans = [span(6, 13), span(31, 38)]
    masked = mask_text(text, spans, build_policy("court-publication"))
    assert masked.text == "Judge [PERSON_1] sat. The victim, [PERSON_1], spoke."


def test_a_generalization_that_is_not_possible_becomes_a_token() -> None:
    text = "on Monday, aged 34"
    policy = policy_with(DATE="generalise", AGE="generalise")
    masked = mask_text(text, locate(text, ("Monday", "DATE"), ("34", "AGE")), policy)
    assert masked.text == "on [DATE_1], aged 30-39"
    assert [r.action for r in masked.replacements] == ["token", "generalise"]


def test_an_alias_names_the_entity_that_the_characters_do_not() -> None:
    text = "Ann Roe, alias Zed."
    spans = [span(0, 7), span(15, 18)]
    scope = Scope([DocumentNames.read(text, spans)], seed)
    first = mask_text(text, spans, scope=scope).replacements[0].entity
    masked = mask_text(text, spans, scope=scope, aliases={(15, 18): first})
    assert masked.text == "[PERSON_1], alias [PERSON_1]."


def test_a_span_may_be_limited_to_a_token() -> None:
    text = "aged 34, aged 47"
    spans = locate(text, ("34", "AGE"), ("47", "AGE"))
    masked = mask_text(text, spans, policy_with(AGE="generalise"), token_only={(5, 7)})
    assert masked.text == "aged [AGE_1], aged 40-49"


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        (
            "Frau Anna Klein und Herr Klein wohnen in Göttingen.",
            [("Anna Klein", "PERSON"), ("Göttingen", "LOCATION")],
            "Frau [PERSON_1] und Herr Klein wohnen in [LOCATION_1].",
        ),
        ("被告人赵立强住北京。", [("赵立强", "PERSON"), ("北京", "LOCATION")], "被告人[PERSON_1]住[LOCATION_1]。"),
        ("Roe", [("Roe", "PERSON")], "[PERSON_1]"),
        ("nothing", [], "nothing"),
        ("", [], ""),
    ],
    ids=["German", "Chinese", "all", "none", "empty"],
)  # fmt: skip
def test_tokens_in_three_languages(text: str, pieces: list[tuple[str, str]], expected: str) -> None:
    masked = mask_text(text, locate(text, *pieces))
    assert masked.text == expected
    assert restore_text(masked.text, masked.replacements) == text


@pytest.mark.parametrize("change", ["drop a character", "change a token", "shift"])
def test_restoring_a_changed_text_is_refused(change: str) -> None:
    masked = mask_text("Ann Roe met Bob Poe.", [span(0, 7), span(12, 19)])
    changed = {
        "drop a character": masked.text[1:],
        "change a token": masked.text.replace("PERSON_2", "PERSON_9"),
        "shift": " " + masked.text,
    }[change]
    with pytest.raises(ValueError, match=r"replacement [01] does not fit") as error:
        restore_text(changed, masked.replacements)
    assert "Roe" not in str(error.value)


@pytest.mark.parametrize(
    ("size", "texts"),
    [
        (12, ["one two. \n\n", "three four ", "five"]),
        (100, ["one two. \n\nthree four five"]),
    ],
)
def test_pieces_end_at_paragraphs_and_words(size: int, texts: list[str]) -> None:
    text = "one two. \n\nthree four five"
    assert [piece.text for piece in split_pieces(text, [], size=size)] == texts


def test_a_piece_never_cuts_a_span() -> None:
    text = "so it was and Ann Roe met them all"
    pieces = list(split_pieces(text, [span(14, 21)], size=18))
    (holder,) = [piece for piece in pieces if piece.spans]
    (found,) = holder.spans
    assert holder.text[found.start : found.end] == "Ann Roe"


def test_a_reviewers_ranges_go_with_their_piece() -> None:
    text = "first half\n\nsecond half"
    pieces = list(split_pieces(text, [], readable=[(0, 5), (12, 18)], size=14))
    assert [(piece.start, piece.readable) for piece in pieces] == [(0, ((0, 5),)), (12, ((0, 6),))]


def test_an_empty_document_is_one_empty_piece() -> None:
    assert [(piece.start, piece.text) for piece in split_pieces("", [])] == [(0, "")]
