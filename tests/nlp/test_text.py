"""Normalized text: invisible characters removed, look-alikes folded, and every offset exact."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.text import NormalizedText, Span

INVISIBLE = {
    "soft hyphen": "\u00ad",
    "combining grapheme joiner": "\u034f",
    "Arabic letter mark": "\u061c",
    "Hangul filler": "\u115f",
    "Mongolian variation selector": "\u180b",
    "zero-width space": "\u200b",
    "zero-width non-joiner": "\u200c",
    "zero-width joiner": "\u200d",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "word joiner": "\u2060",
    "isolate": "\u2066",
    "variation selector 16": "\ufe0f",
    "byte-order mark": "\ufeff",
    "halfwidth Hangul filler": "\uffa0",
    "tag letter": "\U000e0041",
    "variation selector 17": "\U000e0100",
}

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            list(
                "abZé9ᴊ &;\n\r\t\u200b\u00ad\u0301\u0308\ufeff\u202e\u2060\u3000\u00a0１Ａ（“’–\U0001d400中某"
            )
        ),
        st.characters(),
    ),
    max_size=60,
)


@given(HOSTILE)
def test_every_character_maps_to_its_own_place(text: str) -> None:
    normalized = NormalizedText.of(text)
    assert len(normalized.text) <= len(text)
    assert normalized.original_length == len(text)
    last = 0
    for index in range(len(normalized.text)):
        start, end = normalized.to_original(index, index + 1)
        assert last <= start < end <= len(text)
        last = end
    assert normalized.to_original(0, 0)[0] >= 0


@given(HOSTILE)
def test_neighboring_spans_never_overlap(text: str) -> None:
    normalized = NormalizedText.of(text)
    for cut in range(1, len(normalized.text)):
        assert normalized.to_original(0, cut)[1] <= normalized.to_original(cut, len(normalized.text))[0]


@given(HOSTILE, st.data())
def test_the_original_of_a_span_normalizes_to_the_span(text: str, data: st.DataObject) -> None:
    normalized = NormalizedText.of(text)
    start = data.draw(st.integers(0, len(normalized.text)))
    end = data.draw(st.integers(start, len(normalized.text)))
    first, last = normalized.to_original(start, end)
    # A line feed after a carriage return is the same line end by itself, too.
    assert NormalizedText.of(text[first:last]).text == normalized.text[start:end]


@given(HOSTILE)
def test_a_normalized_text_has_nothing_left_to_hide_behind(text: str) -> None:
    folded = NormalizedText.of(text).text
    hidden = {*INVISIBLE.values(), "\r", "\u00a0", "\u3000", "\u2019", "\u201c", "\u2013"}
    assert not hidden & set(folded)
    assert NormalizedText.of(folded).text == folded


@given(st.text(string.ascii_letters + string.digits + " .,;:-'\"()\n\t"))
def test_plain_english_is_unchanged(text: str) -> None:
    normalized = NormalizedText.of(text)
    assert normalized.text == text
    assert normalized.to_original(0, len(text)) == (0, len(text))


@pytest.mark.parametrize(
    ("original", "folded"),
    [
        ("Jo\u200bhn\u00ad Doe", "John Doe"),
        ("\u201cJohn\u201d\u00a0\u2013 O\u2019Hara", '"John" - O\'Hara'),
        ("\u00abJohn\u00bb \u201eJane\u201f", '"John" "Jane"'),
        ("O\u02bcHara O`Hara O\u00b4Hara O\uff40Hara", "O'Hara O'Hara O'Hara O'Hara"),
        ("Smith\u2010Jones Smith\u2011Jones Smith\u2212Jones", "Smith-Jones Smith-Jones Smith-Jones"),
        ("\uff11\uff12\uff13\uff21\uff08\uff09", "123A()"),
        ("\uff2a\uff4f\uff48\uff4e\u3000\uff24\uff4f\uff45", "John Doe"),
        ("Jose\u0301 Ma\u0308rz", "José März"),
        ("Nguye\u0302\u0303n", "Nguyễn"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x0bb\x0cc\u2028d\u2029e\x85f", "a\nb\nc\nd\ne\nf"),
        ("\U0001d409\U0001d428hn", "John"),
        ("\u2460\u2461 in circles", "12 in circles"),
        ("thin\u2009space, narrow\u202fspace", "thin space, narrow space"),
        ("\ufeffStart", "Start"),
        ("被告人\u200b张\ufe00三", "被告人张三"),
        ("Jᴏʜɴ \u24b9\u24de\u24d4", "JOHN Doe"),
        ("Fran&ccedil;ois&nbsp;O&#39;Hara M&#x00FC;ller Win&shy;ter", "François O'Hara Müller Winter"),
        ("AT&amp;T &lt;b&gt; R&D; &#36;5 &hellip;", "AT&amp;T &lt;b&gt; R&D; &#36;5 &hellip;"),
        ("", ""),
        ("\u200b\u200b", ""),
    ],
)
def test_folding(original: str, folded: str) -> None:
    assert NormalizedText.of(original).text == folded


@pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE.keys())
@pytest.mark.parametrize("name", ["John Doe", "张三丰", "Ольга"])
def test_no_invisible_character_splits_a_name(character: str, name: str) -> None:
    text = f"Mr {character.join(name)} appeals"
    normalized = NormalizedText.of(text)
    assert normalized.text == f"Mr {name} appeals"
    start = normalized.text.index(name)
    first, last = normalized.to_original(start, start + len(name))
    assert text[first:last] == character.join(name)


@pytest.mark.parametrize("letter", ["é", "ü", "ñ", "ç", "å", "ő", "ž", "ễ"])
def test_composed_and_decomposed_letters_are_the_same(letter: str) -> None:
    decomposed = unicodedata.normalize("NFD", letter)
    assert len(decomposed) > 1
    normalized = NormalizedText.of(f"x{decomposed}y")
    assert normalized.text == f"x{letter}y"
    assert normalized.to_original(1, 2) == (1, 1 + len(decomposed))
    assert normalized.to_original(2, 3) == (1 + len(decomposed), 2 + len(decomposed))


def test_a_combining_mark_belongs_to_its_letter_and_a_line_end_to_nobody() -> None:
    assert NormalizedText.of("Jose\u0301,").to_original(0, 4) == (0, 5)
    assert NormalizedText.of("Jo\r\nx").to_original(0, 2) == (0, 2)


def test_a_mark_hidden_behind_an_invisible_character_still_belongs_to_its_letter() -> None:
    normalized = NormalizedText.of("Jose\u200b\u0301 Doe")
    assert normalized.text == "José Doe"
    assert normalized.to_original(0, 4) == (0, 6)


def test_invisible_characters_around_a_name_stay_outside_of_its_span() -> None:
    normalized = NormalizedText.of("\u200bJohn\u200b Doe\u200b")
    assert normalized.to_original(0, 4) == (1, 5)
    assert normalized.to_original(0, 8) == (1, 10)


def test_a_flood_of_combining_marks_takes_linear_time_and_one_letter() -> None:
    text = "Z" + "\u0301\u0308" * 100_000 + "algo"
    normalized = NormalizedText.of(text)
    assert normalized.text[1:] == "algo"
    assert normalized.to_original(0, 1) == (0, 200_001)


def test_a_long_text_keeps_exact_offsets() -> None:
    text = "The tenant Jo\u200bhn\u00a0Doe paid.\r\n" * 5_000
    normalized = NormalizedText.of(text)
    start = normalized.text.rindex("John Doe")
    first, last = normalized.to_original(start, start + 8)
    assert text[first:last] == "Jo\u200bhn\u00a0Doe"
    assert first == text.rindex("Jo\u200bhn")


def test_repr_holds_no_text() -> None:
    assert "Secret" not in repr(NormalizedText.of("Secret\u200b name"))


@pytest.mark.parametrize(("start", "end"), [(1, 4), (-1, 2), (2, 1), (4, 4)])
def test_out_of_range(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="outside of a text of 3 characters"):
        NormalizedText.of("abc").to_original(start, end)


def test_spans_sort_by_their_position() -> None:
    late, early, long = (Span(s, e, "PERSON", 0.5, "Test") for s, e in ((9, 12), (0, 4), (0, 9)))
    assert sorted([late, long, early]) == [early, long, late]
    assert len({early, Span(0, 4, "PERSON", 0.5, "Test")}) == 1


def test_traditional_characters_are_folded_at_their_places() -> None:
    normalized = NormalizedText.of("訴訟\u200b代理人張國華")
    assert normalized.text == "诉讼代理人张国华"
    assert normalized.to_original(5, 8) == (6, 9)
    assert NormalizedText.of("国华").text == "国华"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_name_over_the_end_of_a_full_line_is_whole(end: str) -> None:
    lines = [
        "双方于当日签订买卖合同，约定货款三十日内付清，原告葛兰",
        "芝已按约交付货物，被告收货后以质量不合格为由拒付余款，",
        "但未在约定的检验期内提出书面异议，双方多次协商均未果。",
        "原告葛兰芝",
        "被告孟勇",
    ]
    text = end.join(lines)
    normalized = NormalizedText.of(text)
    assert "原告葛兰芝已按约" in normalized.text
    assert normalized.text.endswith("未果。\n原告葛兰芝\n被告孟勇")
    at = normalized.text.index("葛兰芝已")
    start, stop = normalized.to_original(at, at + 3)
    assert text[start:stop] == f"葛兰{end}芝"
    assert NormalizedText.of("原告葛兰芝\n被告孟勇\n第三人孟强").text == "原告葛兰芝\n被告孟勇\n第三人孟强"


def test_a_character_of_html_belongs_to_its_letter() -> None:
    text = "Herr M&uuml;ller kam."
    normalized = NormalizedText.of(text)
    start = normalized.text.index("Müller")
    assert text[slice(*normalized.to_original(start, start + 6))] == "M&uuml;ller"
    assert text[slice(*normalized.to_original(start + 1, start + 2))] == "&uuml;"


@pytest.mark.parametrize("first", range(0, 0x30000, 0x8000))
def test_each_character_is_folded_by_itself_as_among_others(first: int) -> None:
    """What is folded is found by ranges: none of them may be too short or too long."""
    letters = [chr(code) for code in range(first, first + 0x8000) if not 0xD800 <= code < 0xE000]
    whole = [letter for letter in letters if NormalizedText.of(letter).text]
    together = NormalizedText.of("x".join(["x", *whole, "x"])).text
    alone = "x".join(["x", *(NormalizedText.of(letter).text for letter in whole), "x"])
    without_marks = [letter for letter in whole if not "\u0300" <= letter <= "\u036f"]
    if len(without_marks) == len(whole):
        assert together == alone


@pytest.mark.parametrize("written", ["“Roe”", "Roe’s", "Ｒｏｅ", "a\u00a0b", "1–2", "𝐑𝐨𝐞", "①", "`Roe`"])
def test_folding_is_the_same_in_a_long_text(written: str) -> None:
    alone = NormalizedText.of(written).text
    assert alone.isascii()
    text = NormalizedText.of(f"{written} und ä " * 500).text
    assert text == f"{alone} und ä " * 500


@pytest.mark.parametrize(
    ("original", "text"),
    [
        ("原 告 卢 俊 义 诉 称 ， 被 告 未 付 款 。", "原告卢俊义诉称,被告未付款。"),
        ("原　告　卢　俊　义　诉　称　被　告", "原告卢俊义诉称被告"),
        ("前言：借 款 于 ２ ０ １ ９ 年 到 期 ， 至 今 未 还", "前言:借款于2019年到期,至今未还"),
        ("审 判 长  张 晓 春", "审 判 长  张 晓 春"),
        ("张三 李四 王五 赵六 钱七 孙八 周九 吴十", "张三 李四 王五 赵六 钱七 孙八 周九 吴十"),
        ("行 1 2 3 4 5 6 7 8 9 10", "行 1 2 3 4 5 6 7 8 9 10"),
    ],
)
def test_characters_of_a_poor_scan_that_stand_apart_are_joined(original: str, text: str) -> None:
    normalized = NormalizedText.of(original)
    assert normalized.text == text
    for index, character in enumerate(text):
        start, end = normalized.to_original(index, index + 1)
        assert NormalizedText.of(original[start:end]).text.strip() in (character, "")
