"""DOC of Word 97 to 2003, and what programs of the system read."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents
from tests.nlp.readers.compound_file import build_compound_file

Read = Callable[..., str]
Refusal = Callable[..., Reason]
TEXT_AT = 0x800


def doc(
    stories: Sequence[str],
    *,
    wide: bool = True,
    hidden: tuple[int, int] | None = None,
    flags: int = 0,
    version: int = 0xC1,
    magic: int = 0xA5EC,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """A document of these stories: body, footnotes, headers, macros, comments, endnotes, boxes, header boxes.

    The text is in two pieces; `hidden` is a range of characters of the body.
    """
    stories = [*stories, *[""] * (8 - len(stories))]
    text = "".join(stories) + "\r"
    data = text.encode("utf-16-le") if wide else text.encode("cp1252")
    width = 2 if wide else 1
    sizes = [len(story.encode("utf-16-le")) // 2 for story in stories]
    whole = sum(sizes) + 1
    half = whole // 2
    starts = [TEXT_AT, TEXT_AT + half * width]
    pieces = struct.pack("<3I", 0, half, whole)
    for start in starts:
        pieces += struct.pack("<HIH", 0, start if wide else start * 2 | 1 << 30, 0)
    table = b"\x01" + struct.pack("<H", 4) + b"abcd"  # properties, which are skipped
    table += b"\x02" + struct.pack("<I", len(pieces)) + pieces
    main = bytearray(TEXT_AT)
    struct.pack_into("<HH", main, 0, magic, version)
    struct.pack_into("<H", main, 0x0A, flags | 0x0200)
    struct.pack_into("<8i", main, 0x4C, *sizes)
    struct.pack_into("<II", main, 0x1A2, 0, len(table))
    main += data.ljust(-(-len(data) // 512) * 512, b"\0")
    if hidden is not None:
        edges = [TEXT_AT, *(TEXT_AT + place * width for place in hidden), TEXT_AT + len(data)]
        page = bytearray(512)
        struct.pack_into("<4I", page, 0, *edges)
        page[16:19] = bytes([0, 100, 0])  # the run in the middle has properties
        page[200:210] = bytes([9]) + struct.pack("<HBHBHB", 0x0835, 1, 0x083C, 1, 0x0836, 1)
        page[511] = 3
        struct.pack_into("<II", main, 0xFA, len(table), 12)
        table += struct.pack("<III", TEXT_AT, TEXT_AT + len(data), len(main) // 512)
        main += page
    return build_compound_file({"WordDocument": bytes(main), "1Table": table, **(more or {})})


@pytest.mark.parametrize("wide", [True, False])
def test_stories_tables_and_fields(read: Read, wide: bool) -> None:
    field = "\x13 HYPERLINK \x13 x \x14inner\x15 \x14Judge Müller\x15"
    body = f"The order of {field}.\x02\rCosts\x07120\x07\x07Fees\x0730\x07\x07a\x1e\x1fb\x0bc\x01\r"
    header = "\x03\r\x04\r\rSupreme Court\rSupreme Court\r"
    stories = [body, "\x02 See Roe v. Doe.\r", header, "", "A comment\r", "\x02 An endnote\r", "In a box\r"]
    for name in ("a.doc", "a.dot", "a.rtf"):
        lines = read(name, doc(stories, wide=wide)).split("\n")
        assert lines == [
            "Supreme Court", "The order of Judge Müller.", "Costs\t120", "Fees\t30", "a-b", "c",
            " See Roe v. Doe.", " An endnote", "In a box",
        ]  # fmt: skip


@pytest.mark.parametrize("wide", [True, False])
def test_hidden_text_is_none(read: Read, wide: bool) -> None:
    body = "The order of Judge Abernathy, or of Judge Quillfeather."
    start = body.index(", or")
    data = doc([body], wide=wide, hidden=(start, len(body) - 1))
    assert read("a.doc", data) == "The order of Judge Abernathy."


def test_characters_of_two_units_keep_their_places(read: Read) -> None:
    data = doc(["\U0001f600 The order \U0001f600\U0001f600 of", "the court"])
    assert read("a.doc", data) == "\U0001f600 The order \U0001f600\U0001f600 of\nthe court"


def test_text_with_the_name_of_a_document(read: Read) -> None:
    assert read("a.doc", "The order of Judge Müller".encode("cp1252")) == "The order of Judge Müller"


def test_embedded_documents() -> None:
    pool = {
        "_1": {"Package": b"{\\rtf1 The embedded text}"},
        "_2": {"\x01Ole10Native": pack("C:\\x\\note.txt", b"The packed text")},
        "_3": {"WordDocument": b"x"},
    }
    outer, inner, packed = read_content_documents("a.doc", doc(["The order"], more={"ObjectPool": pool}))
    assert outer.text == "The order\n\n[attachment]\n\n[attachment]"
    assert outer.notes == {Note.unread_attachment: 1}
    assert inner.text == "The embedded text"
    assert (packed.name, packed.text) == ("note.txt", "The packed text")


def test_a_file_that_is_cut_off_is_broken(refusal: Refusal) -> None:
    """Before, the text up to there was taken as the whole one."""
    data = doc(["The order of Judge Abernathy. " * 400])
    place = data.index("Judge".encode("utf-16-le") if b"J\0u\0" in data else b"Judge")
    sector, (table,) = place // 512 - 1 + 8, struct.unpack_from("<I", data, 76)
    entry = (table + 1) * 512 + 4 * sector
    cut = data[:entry] + struct.pack("<I", 0xFFFFFFFE) + data[entry + 4 :]
    assert refusal("a.doc", cut) is Reason.broken


def pack(path: str, content: bytes) -> bytes:
    """What the Object Packager stores."""
    name = path.encode() + b"\0"
    body = b"\2\0" + name + name + bytes(4) + struct.pack("<I", len(name)) + name
    body += struct.pack("<I", len(content)) + content
    return struct.pack("<I", len(body)) + body


def test_pictures_are_counted() -> None:
    """Those in the line; the code of a field has the mark of a picture too."""
    body = "Plan \x01 and \x13 LINK \x01\x14text\x15 photograph \x01"
    (reading,) = read_content_documents("a.doc", doc([body], hidden=None))
    assert reading.notes == {Note.unread_picture: 2}
    pool = {"_1": {"Package": b"{\\rtf1 The embedded text}"}}
    outer, _ = read_content_documents("a.doc", doc([body], more={"ObjectPool": pool}))
    assert outer.notes == {Note.unread_picture: 1}  # the other shows the object


def test_what_is_refused(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal("a.doc", doc(["secret"], flags=0x0100)) == Reason.encrypted
    assert refusal("a.doc", doc(["old"], magic=0xA5DC, version=0x65)) == Reason.unsupported
    assert refusal("a.doc", doc(["x"], magic=0)) == Reason.broken
    assert refusal("a.doc", doc(["x" * 1000]), Limits(max_text_bytes=100)) == Reason.decompression_bomb
    assert refusal("a.wpd", b"\xffWPC" + bytes(100)) == Reason.unsupported
    sound = doc(["The order of Judge Abernathy"], hidden=(3, 5))
    for size in range(600, len(sound), 512):
        assert refusal("a.doc", sound[:size]) in (Reason.broken, Reason.wrong_suffix, Reason.empty)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program on the path."""

    def install(name: str, script: str) -> None:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")

    return install


def test_programs_read_what_is_older(read: Read, refusal: Refusal, tool: Callable[[str, str], None]) -> None:
    old = doc(["old"], magic=0xA5DC, version=0x65)
    tool(
        "antiword",
        'for last; do :; done; [ -f "$last" ] && echo "The order of Judge Müller"; pwd > "$HOME/x"',
    )
    assert read("a.doc", old) == "The order of Judge Müller\n"
    tool("wpd2text", 'tail -c 9 "$1"')
    assert read("a.wpd", b"\xffWPC" + bytes(100) + b"The order") == "The order"
    assert read("a.doc", b"\xffWPC" + bytes(100) + b"The order") == "The order"
    assert refusal("a.wpd", b"\xffWPC" + b"x" * 100, Limits(max_text_bytes=5)) == Reason.decompression_bomb
    tool("wpd2text", "exit 3")
    assert refusal("a.wpd", b"\xffWPC" + bytes(100)) == Reason.broken
