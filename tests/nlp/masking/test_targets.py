"""Forms of masked strings, folded words, and the readable part of a masked text. All names are invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.masking.folding import find_lower_words, fold_words, join_folded, split_tokens
from lexveil.nlp.masking.mask import Replacement, mask_text
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.readable_text import ReadableText
from lexveil.nlp.masking.targets import Targets
from lexveil.nlp.text import CUT, NormalizedText, Span


def replacement(
    original: str, kind: str = "PERSON", shown: str = "[PERSON_1]", entity: int = 0
) -> Replacement:
    end = len(shown)
    return Replacement(0, end, original, shown, kind, entity, "token", "", 0, len(original), 0.9, "Test")


def occurrences(
    original: str, text: str, kind: str = "PERSON", lower: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """Return (characters, form) of each occurrence of a masked string, without those inside of another."""
    targets = Targets()
    targets.add(replacement(original, kind))
    found: list[tuple[str, str]] = []
    last = 0
    for start, end, target in targets.find(text, lower):
        if start >= last:
            found.append((text[start:end], target.reason))
            last = end
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("John O'Hara's hat", ["john", "ohara", "hat"]),
        ("Zoë Béart", ["zoe", "beart"]),
        ("GROẞ Groß", ["gross", "gross"]),
        ("Hаwksmооr", ["hawksmoor"]),  # Cyrillic а and о
        ("Ηαωκ", ["ηaωk"]),  # Greek; only letters that look alike are folded
        ("１２３ ＡＢＣ", ["123", "abc"]),
        ("no. KB-2022", ["no", "kb", "2022"]),
        ("张三 met Roe", ["met", "roe"]),
        ("a_b", ["a", "b"]),
        ("", []),
    ],
)
def test_words_are_folded(text: str, words: list[str]) -> None:
    assert list(fold_words(text)) == words


def test_folded_words_know_their_place_and_case() -> None:
    (mr, name) = split_tokens("the Béarts'")
    assert (mr.start, mr.end, mr.capital) == (0, 3, False)
    assert (name.folded, name.start, name.end, name.capital) == ("bearts", 4, 10, True)


@pytest.mark.parametrize(
    ("text", "joined"),
    [("Mac Donald", "macdonald"), ("张三，先生", "张三先生"), ("-- --", ""), ("J.A.S.", "jas")],
)
def test_words_are_joined(text: str, joined: str) -> None:
    assert join_folded(text) == joined


def test_only_words_in_lower_case_are_ordinary() -> None:
    assert find_lower_words("a bond of Mr Bond, naïve") == {"a", "bond", "of", "naive"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("John Hawksmoor", [("John Hawksmoor", "string")]),
        ("Hawksmoor, John", [("Hawksmoor, John", "string")]),
        ("john  hawksmoor", [("john  hawksmoor", "string")]),
        ("John\nHawksmoor", [("John\nHawksmoor", "string")]),
        ("JohnHawksmoor", [("JohnHawksmoor", "string")]),
        ("Hawksmoor and Hawksmoors", [("Hawksmoor", "surname"), ("Hawksmoors", "surname")]),
        ("Hawks-\nmoor", [("Hawks-\nmoor", "surname")]),
        ("Hawks Moor", [("Hawks Moor", "surname")]),
        ("hawksmoor", []),
        ("John", []),
        ("Hawksmoorland", []),
        ("Hawks moor", []),
    ],
)
def test_forms_of_a_person(text: str, expected: list[tuple[str, str]]) -> None:
    assert occurrences("John Hawksmoor", text) == expected


@pytest.mark.parametrize(
    ("original", "text", "expected"),
    [
        ("John A. Hawksmoor", "John Hawksmoor", "John Hawksmoor"),
        ("John A. Hawksmoor", "Hawksmoor, John", "Hawksmoor, John"),
        ("Mr John Hawksmoor", "John Hawksmoor", "John Hawksmoor"),
        ("Hawksmoor, John", "Hawksmoor", "Hawksmoor"),
        ("Frau Dr. Anneliese Querfurth", "Querfurth", "Querfurth"),
        ("J. Hawksmoor", "J. Hawksmoor", "J. Hawksmoor"),
        ("J. Hawksmoor", "Hawksmoor", None),
        ("Ann Li", "Li", None),
        ("James Court", "the Court", None),
        ("J.S.", "J.S.", None),
        ("王小虎", "见王小虎说", "王小虎"),
        ("王○虎", "见王○虎说", "王○虎"),
        ("王", "姓王的", None),
    ],
)
def test_a_person_by_other_names(original: str, text: str, expected: str | None) -> None:
    assert [form for form, _ in occurrences(original, text)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("kind", "original", "text", "found"),
    [
        ("CASE_NUMBER", "KB-2022-012086", "KB 2022 012086", True),
        ("CASE_NUMBER", "12/34", "12/34", False),
        ("ID_NUMBER", "219-09-9999", "219099999", True),
        ("ID_NUMBER", "219-09-9999", "2190999990", False),
        ("ID_NUMBER", "110105194912310021", "证号110105194912310021。", True),
        ("ORGANIZATION", "Tyrell Holdings", "TYRELL HOLDINGS", True),
        ("ORGANIZATION", "Tyrell Holdings", "tyrell holdings", False),
        ("ORGANIZATION", "The Court", "The Court", False),
        ("ORGANIZATION", "北京云帆科技有限公司", "北京云帆科技有限公司与", True),
        ("LOCATION", "Leeds", "in Leeds", True),
        ("LOCATION", "海淀区", "住海淀区", True),
        ("LOCATION", "海淀区", "海淀区人民法院", False),
        ("DATE", "2020", "in 2020", False),
        ("DATE", "3 March 2018", "3 March 2018", True),
        ("DEMOGRAPHIC", "lawyer", "the lawyer", False),
        ("DEMOGRAPHIC", "Zubrovian Orthodox", "a Zubrovian Orthodox", True),
        ("MISC", "the Zorgon file", "the Zorgon file", False),
        ("FAMILY_MEMBER", "her husband", "her husband", False),
    ],
)
def test_strings_of_other_types(kind: str, original: str, text: str, found: bool) -> None:
    assert bool(occurrences(original, text, kind)) == found


def test_a_word_that_the_document_writes_in_lower_case_is_no_name() -> None:
    lower = frozenset({"harbor"})
    assert occurrences("James Harbor", "The Harbor froze.") == [("Harbor", "surname")]
    assert occurrences("James Harbor", "The Harbor froze.", lower=lower) == []
    assert occurrences("James Harbor", "James Harbor", lower=lower) == [("James Harbor", "string")]


def test_the_longest_form_wins() -> None:
    targets = Targets()
    for original in ("Hawksmoor", "John Hawksmoor", "John Hawksmoor Ltd"):
        targets.add(replacement(original))
    text = "John Hawksmoor Ltd paid."
    assert next(text[start:end] for start, end, _ in targets.find(text)) == "John Hawksmoor Ltd"


def test_a_string_that_a_reviewer_keeps_is_no_target() -> None:
    targets = Targets(["John HAWKSMOOR"])
    targets.add(replacement("John Hawksmoor"))
    assert [target.reason for _, _, target in targets.find("John Hawksmoor; Hawksmoor")] == [
        "surname",
        "surname",
    ]


def test_what_was_replaced_by_itself_is_no_target() -> None:
    targets = Targets()
    targets.add(replacement("Leeds", "ADDRESS", shown="Leeds"))
    assert list(targets.find("Leeds")) == []


@pytest.mark.parametrize(
    ("kind", "entity", "reveals"), [("LOCATION", 1, True), ("LOCATION", 0, False), ("MISC", 1, False)]
)
def test_a_generalization_may_reveal_another_entity(kind: str, entity: int, reveals: bool) -> None:
    targets = Targets()
    targets.add(replacement("New Leeds", kind, "[LOCATION_1]", entity))
    address = replacement("12 Mill Lane, New Leeds", "ADDRESS", "New Leeds")
    assert targets.reveals(address) == reveals


def masked_parts(text: str, *pieces: str) -> ReadableText:
    spans = [Span(text.index(piece), text.index(piece) + len(piece), "PERSON", 0.9, "T") for piece in pieces]
    return ReadableText(mask_text(text, sorted(spans)))


def test_the_readable_text_has_cuts_for_replacements() -> None:
    readable = masked_parts("Ann Roe met Bob Poe.", "Ann Roe", "Bob Poe")
    assert readable.normalized.text == f"{CUT} met {CUT}."


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_readable_characters_lead_back_to_the_original(text: str, first: int, last: int) -> None:
    start, end = sorted((min(first, len(text)), min(last, len(text))))
    spans = [Span(start, end, "PERSON", 0.9, "T")] if start < end else []
    readable = ReadableText(mask_text(text, spans))
    for position, character in enumerate(readable.normalized.text):
        if character != CUT:
            begin, stop = readable.to_original(position, position + 1)
            written = text[begin:stop].replace(CUT, " ")  # the text's own
            assert character in NormalizedText.of(written).text
            assert not spans or stop <= start or begin >= end


def test_kept_spans_are_known_and_read() -> None:
    text = "Judge Ann Roper met Mr Bob Poe."
    spans = [Span(6, 15, "PERSON", 0.9, "T"), Span(23, 30, "ORGANIZATION", 0.9, "T")]
    readable = ReadableText(mask_text(text, spans, build_policy(types={"PERSON": "keep"})))
    assert readable.is_kept(6, 15, "PERSON")
    assert readable.is_kept(10, 15, "LOCATION")
    assert not readable.is_kept(0, 15, "PERSON")
    assert not readable.is_kept(16, 19, "PERSON")
    assert readable.words_between(6, 15) == ["ann", "roper"]


def test_only_the_name_of_a_person_keeps_what_is_masked_of_another() -> None:
    text = "Poe Mills Ltd paid Mr Bob Poe."
    spans = [Span(0, 13, "ORGANIZATION", 0.9, "T"), Span(22, 29, "PERSON", 0.9, "T")]
    readable = ReadableText(mask_text(text, spans, build_policy(types={"ORGANIZATION": "keep"})))
    assert readable.is_kept(0, 3, "LOCATION")
    assert not readable.is_kept(0, 3, "PERSON")
