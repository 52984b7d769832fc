from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Reason, UnreadableError, normalize_text, read_document

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
        ("a.md", b"%PDF-1.7 ...", Reason.wrong_suffix),
        ("a.txt", b"PK\x03\x04abc", Reason.wrong_suffix),
        ("a.txt", b"{\\rtf1 hello}", Reason.wrong_suffix),
        ("a.txt", bytes(range(256)) * 8, Reason.wrong_suffix),
        ("a.txt", b"\0" * 4000, Reason.wrong_suffix),
        ("a.html", b"\x89PNG\r\n\x1a\n" + bytes(50), Reason.wrong_suffix),
        ("a.doc", b"anything", Reason.unsupported),
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


def test_line_ends_nuls_and_marks_are_normalised(read: Callable[..., str]) -> None:
    assert read("a.txt", "\ufeffone\r\ntwo\rthree\0 and some more words\n".encode()) == (
        "one\ntwo\nthree and some more words\n"
    )


@given(st.text())
def test_normal_form_is_idempotent_and_has_a_utf8_form(text: str) -> None:
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert not {"\0", "\r"} & set(once)
    once.encode()


@settings(max_examples=60, deadline=None)
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
