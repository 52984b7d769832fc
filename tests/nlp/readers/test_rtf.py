"""Rich Text Format: what is read of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lexveil.nlp.readers import Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb"{\rtf1\ansi Ann Other\par sues.}", "Ann Other\nsues."),
        (rb"{\rtf1\ansi\ansicpg1250 \'8aimi\'e6}", "Šimić"),
        (rb"{\rtf1\ansi {\fonttbl{\f0 Arial;}}M\u252\'fcller}", "Müller"),
        (rb"{\rtf1 {\*\generator Secret}a{\pict\pngblip 00ff}b}", "ab"),
    ],
)
def test_text(read: Callable[..., str], content: bytes, text: str) -> None:
    assert read("a.rtf", content).strip() == text


def test_refused(refusal: Callable[..., Reason]) -> None:
    assert refusal("a.rtf", b"plain text") is Reason.wrong_suffix
    assert refusal("a.rtf", b"{\\rtf1 }") is Reason.empty


def test_headers_and_notes_are_text_and_pictures_are_counted() -> None:
    page = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\header\pard Supreme Court\par}{\footerf page\par}"
        rb"{\*\shppict{\pict\pngblip 8950}}{\nonshppict{\pict\wmetafile8 0100}}"
        rb"{\object\objemb{\*\objdata 01}}The order{\super\chftn}"
        rb"{\footnote\pard {\super\chftn} See Roe v. M\'fcller \{1\}.} of Judge Abernathy.\par}"
    )
    (reading,) = read_content_documents("a.rtf", page)
    assert reading.text is not None
    assert [line.strip() for line in reading.text.split("\n") if line.strip()] == [
        "Supreme Court", "page", "The order of Judge Abernathy.", "See Roe v. Müller {1}.",
    ]  # fmt: skip
    assert reading.notes == {Note.unread_picture: 1, Note.unread_attachment: 1}
    cut = page[:-60]
    assert "Supreme Court" in str(next(read_content_documents("a.rtf", cut)).text)


def test_hidden_and_deleted_text_is_left_out_and_counted() -> None:
    page = (
        rb"{\rtf1\ansi The order{\v secret \b words\'e4\u228?} of {\deleted\revauthdel1 Judge Roe}Judge "
        rb"Abernathy\v  hidden\v0 .\par\plain End \{1\}.}"
    )
    (reading,) = read_content_documents("a.rtf", page)
    assert str(reading.text).strip() == "The order of Judge Abernathy.\nEnd {1}."
    assert reading.notes == {Note.hidden_text: 3}


@pytest.mark.parametrize(
    "page",
    [
        rb"{\rtf1{\fonttbl" + rb"\f1" * 60_000 + b"}a}",
        rb"{\rtf1{\fonttbl" + rb"\f1\fcharset0 " * 15_000 + b"}a}",
        rb"{\rtf1 a" + rb"{\field{\*\fldinst{HYPERLINK " * 9_000 + b"}",
        rb'{\rtf1 a{\field{\*\fldinst{HYPERLINK ' + b'"x"}} { HYPERLINK ' * 9_000 + b"}",
    ],
)  # fmt: skip
def test_tables_and_fields_without_end_take_little_time(page: bytes) -> None:
    """Found by mutations: patterns of striprtf took a time that grows with the square, or the third power."""
    [*_] = read_content_documents("a.rtf", page)  # took minutes


def test_fonts_have_their_own_charsets_and_links_their_targets(read: Callable[..., str]) -> None:
    page = (
        rb"{\rtf1\ansi{\fonttbl{\f0\fswiss Arial;}{\f1\fnil\fcharset238{\*\panose 02}Times{\*\falt X};}}"
        rb"\f1\'8aimi\'e6 {\field{\*\fldinst{HYPERLINK " b'"http://example.org"'
        rb"}}{\fldrslt {sued}}} M\'fcller}"
    )  # fmt: skip
    assert read("a.rtf", page).startswith("Šimić sued")


def test_bytes_of_pictures_are_no_text(read: Callable[..., str]) -> None:
    page = rb"{\rtf1 a{\pict{\*\blipuid 01}\pngblip\bin9 {{}\par }}b{\pict\wmetafile8\bin}c}"
    assert read("a.rtf", page).strip() == "abc"


def test_text_boxes_are_text(read: Callable[..., str]) -> None:
    page = (
        rb"{\rtf1 before{\shp{\*\shpinst\shpleft0{\sp{\sn x}{\sv 1}}{\shptxt \pard Judge {\b Abernathy}\par}}"
        rb"{\shprslt{\*\do{\dptxbxtext Judge Abernathy}}}} after}"
    )
    assert read("a.rtf", page).split() == ["before", "after", "Judge", "Abernathy"]
