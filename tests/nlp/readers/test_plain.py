from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import (
    DOCUMENT_SUFFIXES,
    Limits,
    Reason,
    UnreadableError,
    normalize_text,
    read_content,
    read_document,
)
from lexveil.nlp.readers.contract import has_surrogates, replace_surrogates
from lexveil.nlp.readers.formats import detect_format
from lexveil.nlp.readers.plain import decode

ENGLISH = "The landlord’s notice — served on Ms Müller at the café — is void, cf. § 21.\n" * 3
CHINESE = "被告人张三,男,1980年5月1日出生,汉族。\n公诉机关指控:2019年3月,被告人在北京市盗窃现金2000元。\n"
RUSSIAN = "Истец обратился в суд с иском к ответчику о взыскании задолженности по договору займа.\n" * 3
POLISH = "Sąd Rejonowy w Łodzi uznał, że powództwo zasługuje na uwzględnienie w całości, gdyż świadek.\n" * 3


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ENGLISH, "utf-8"),
        (ENGLISH, "utf-8-sig"),
        (ENGLISH, "utf-16"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (ENGLISH, "utf-32"),
        (ENGLISH, "cp1252"),
        (ENGLISH.replace("’", "'").replace("—", "-"), "latin-1"),
        (CHINESE, "utf-8"),
        (CHINESE, "utf-16-le"),
        (CHINESE, "utf-16-be"),
        (CHINESE, "gb18030"),
        (CHINESE, "gbk"),
        (RUSSIAN, "cp1251"),
        (POLISH, "cp1250"),
        ("A page of plain English. " * 5000 + "\nÜberweisung der Kaution\n", "cp1252"),
        ("被告", "gbk"),
        ("café", "cp1252"),
    ],
)
def test_encodings_are_found(read: Callable[..., str], text: str, encoding: str) -> None:
    assert read("a.txt", text.encode(encoding)) == text


def test_one_damaged_byte_does_not_turn_utf8_into_something_else(read: Callable[..., str]) -> None:
    data = bytearray((CHINESE * 5).encode())
    data[7] = 0xFF
    assert read("a.txt", bytes(data)).endswith(CHINESE)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", Reason.empty),
        ("a.txt", b" \r\n\t\n", Reason.empty),
        ("a.txt", "\ufeff \u3000\n".encode(), Reason.empty),
        ("a.md", b"%PDF-1.7 ...", Reason.broken),
        ("a.txt", b"PK\x03\x04abc", Reason.wrong_suffix),
        ("a.txt", b"{\\rtf1 }", Reason.empty),
        ("a.txt", bytes(range(256)) * 8, Reason.wrong_suffix),
        ("a.txt", b"\0" * 4000, Reason.wrong_suffix),
        ("a.html", b"\x89PNG\r\n\x1a\n" + bytes(50), Reason.wrong_suffix),
        ("a.zzz", b"anything", Reason.unsupported),
        ("a.doc", bytes(range(256)), Reason.wrong_suffix),
        ("a", b"anything", Reason.unsupported),
        ("a.txt.gz", b"not compressed", Reason.wrong_suffix),
        ("a.txt.zst", gzip.compress(b"other codec", mtime=0), Reason.wrong_suffix),
        ("a.txt.gz", b"", Reason.empty),
        ("a.txt.gz", gzip.compress(b"", mtime=0), Reason.empty),
    ],
)
def test_refused(refusal: Callable[..., Reason], name: str, data: bytes, reason: Reason) -> None:
    assert refusal(name, data) is reason


def test_what_is_no_regular_file_is_inaccessible(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for name in ("folder.txt", "absent.txt", "with\0nul.txt"):
        with pytest.raises(UnreadableError, match=r"^inaccessible$"):
            read_document(tmp_path / name)


def test_line_ends_nuls_and_marks_are_normalized(read: Callable[..., str]) -> None:
    assert read("a.txt", "\ufeffone\r\ntwo\rthree\0 and some more words\n".encode()) == (
        "one\ntwo\nthree and some more words\n"
    )


@given(st.text())
def test_normal_form_is_idempotent_and_has_a_utf8_form(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert not {"\0", "\r"} & set(once)
    once.encode()


@settings(max_examples=60)
@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.sampled_from(["", ".gz", ".zst"]),
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, codec: str) -> None:
    data = ("x" + text).encode()
    if codec:
        data = gzip.compress(data) if codec == ".gz" else zstandard.compress(data)
    path = tmp_path_factory.mktemp("any") / f"a.txt{codec}"
    path.write_bytes(data)
    assert read_document(path) == normalize_text("x" + text)


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        ("Müller".encode(), None, "Müller"),
        ("Müller".encode(), "iso-8859-1", "Müller"),
        ("Müller".encode(), "latin1", "Müller"),
        ("Müller".encode(), "ISO_8859-1", "Müller"),
        ("Müller".encode(), "us-ascii", "Müller"),
        ("Müller".encode("cp1252"), "utf-8", "Müller"),
        ("Müller".encode("cp1252"), "windows-1252", "Müller"),
        ("€ 5".encode("cp1252"), "iso-8859-1", "€ 5"),
        ("被告人张三".encode("gbk"), "gb2312", "被告人张三"),
        ("張志明".encode("big5"), "big5", "張志明"),
        ("Иванов".encode("koi8-r"), "koi8-r", "Иванов"),
        ("Yılmaz".encode("cp1254"), "iso-8859-9", "Yılmaz"),
        ("Łódź".encode("iso-8859-2"), ' "iso-8859-2" ', "Łódź"),
        ("Müller".encode(), "no-such-charset", "Müller"),
        ("Müller".encode(), "hex", "Müller"),
        ("Müller".encode(), "utf-8\0", "Müller"),
        ("Müller".encode("utf-16"), "iso-8859-1", "Müller"),
        (b"", "utf-8", ""),
    ],
)
def test_a_declared_charset_is_used_unless_the_bytes_contradict_it(
    data: bytes, declared: str | None, text: str
) -> None:
    assert decode(data, declared) == text


@pytest.mark.parametrize("name", ["张伟", "Ångström", "Lefèvre", "Núñez", "O’Brien", "Gonçalves", "Weiß"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_name_in_an_english_text_survives_the_usual_encodings(name: str, encoding: str) -> None:
    text = f"The court heard the evidence of {name}, who lives abroad.\n"
    assert decode(text.encode(encoding)) == text


def test_one_damaged_sequence_in_a_chinese_judgment_costs_its_character_alone() -> None:
    data = bytearray((CHINESE * 30).encode())
    data[300] = 0xFF
    text = decode(bytes(data))
    assert 1 <= text.count("\ufffd") <= 3
    assert abs(len(text) - len(CHINESE * 30)) <= 2
    assert text.endswith(CHINESE)


@pytest.mark.parametrize(
    "head",
    [
        b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1f\x8b\x08\0",
        b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0",
        b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07",
        b"\x7fELF", b"SQLite format 3\0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["letter.txt", "page.html", "mail.eml", "notes.md"])
def test_renamed_binaries_are_no_text(refusal: Callable[..., Reason], name: str, head: bytes) -> None:
    assert refusal(name, head + b"The rest looks like text. " * 20) is Reason.wrong_suffix


@pytest.mark.parametrize("head", [b"%PDF-1.7", b"\xffWPC"])
@pytest.mark.parametrize("name", ["letter.txt", "page.html", "mail.eml", "notes.md"])
def test_renamed_documents_are_given_to_their_readers(
    refusal: Callable[..., Reason], name: str, head: bytes
) -> None:
    refused = refusal(name, head + b"The rest looks like text. " * 20)
    assert refused in (Reason.broken, Reason.unsupported)  # without the tool for WordPerfect


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("one\r\r\ntwo", "one\n\ntwo"),
        ("\ufeff\ufeffstart", "start"),
        ("mid\ufeffdle", "mid\ufeffdle"),
        ("nul\0in\0side", "nulinside"),
        ("\r\0\n", "\n"),
        ("lone\ud800surrogate", "lone\ufffdsurrogate"),
        ("emoji \U0001f600 stays", "emoji \U0001f600 stays"),
        ("line\u2028separator stays", "line\u2028separator stays"),
        ("", ""),
    ],
)
def test_the_normal_form(text: str, normal: str) -> None:
    assert normalize_text(text) == normal


@given(st.text(st.characters(categories=["Cs", "Lu", "Zs"]), max_size=50))
def test_surrogates_are_replaced_one_for_one(text: str) -> None:
    replaced = replace_surrogates(text)
    assert len(replaced) == len(text)
    assert not has_surrogates(replaced)
    assert has_surrogates(text) == (replaced != text)


@settings(max_examples=80)
@given(st.binary(max_size=400))
@example(b"%PDF-")
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    outcome: str | Reason
    try:
        outcome = read_content("a.txt", data)
    except UnreadableError as unreadable:
        outcome = unreadable.reason
    assert outcome.strip()
    assert outcome.encode("utf-8")
    # What begins like a PDF is read as one, and may be broken.
    is_text = detect_format(data, ".txt") == ".txt"
    assert not isinstance(outcome, Reason) or not is_text or outcome in (Reason.empty, Reason.wrong_suffix)


def test_a_document_in_memory_is_read_like_a_file(read: Callable[..., str]) -> None:
    for name, data in {
        "a.txt": ENGLISH.encode("cp1252"),
        "b.HTML": b"<p>One</p><p>Two</p>",
        "c.md.gz": gzip.compress(b"# Title\n"),
    }.items():
        assert read_content(name, data) == read(name, data)


def test_limits_hold_for_content_in_memory_too() -> None:
    with pytest.raises(UnreadableError, match=r"^over_size$"):
        read_content("a.txt", b"x" * 101, Limits(max_bytes=100))
    assert read_content("a.txt", b"x" * 100, Limits(max_bytes=100)) == "x" * 100
    with pytest.raises(UnreadableError, match=r"^unsupported$"):
        read_content("a.zzz", b"anything")


@pytest.mark.parametrize("suffix", sorted(DOCUMENT_SUFFIXES))
@pytest.mark.parametrize("codec", ["", ".gz", ".zst"])
def test_an_empty_file_of_any_format_is_empty(
    refusal: Callable[..., Reason], suffix: str, codec: str
) -> None:
    assert refusal(f"a{suffix.upper()}{codec}", b"") is Reason.empty
