"""Archives, mailboxes, mails and PDFs as containers: each document inside comes out, nothing else happens."""

from __future__ import annotations

import base64
import binascii
import ctypes
import gzip
import io
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from pypdfium2 import raw

from lexveil.nlp.readers import Limits, Note, Reading, Reason, read_documents
from lexveil.nlp.readers.contract import BOMB_FLOOR
from tests.nlp.readers.compound_file import build_compound_file

Listed = Callable[..., list[Reading]]
CASES = Path(__file__).parents[4] / "shared/cases/files"


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    def call(name: str, data: bytes, limits: Limits | None = None) -> list[Reading]:
        (tmp_path / name).write_bytes(data)
        return list(read_documents(tmp_path / name, limits))

    return call


def found(readings: list[Reading]) -> dict[str, str]:
    return {reading.name: (reading.text or str(reading.reason or "")).strip() for reading in readings}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return made.getvalue()


class TestZip:
    def test_members_are_documents_and_nothing_is_written(self, listed: Listed, tmp_path: Path) -> None:
        inner = archive({"deep/c.txt": b"third"})
        data = archive({"a.txt": b"first", "../../../b.txt": b"second", "in.zip": inner, "x.bin": b"?"})
        before = {*tmp_path.parent.rglob("*")}
        readings = listed("a.zip", data)
        assert found(readings) == {
            "a.txt": "first", "b.txt": "second", "in.zip/deep/c.txt": "third", "x.bin": "unsupported",
        }  # fmt: skip
        assert {*tmp_path.parent.rglob("*")} - before == {tmp_path / "a.zip"}
        assert all(reading.belongs_to is None for reading in readings)
        assert found(listed("a.zip.gz", gzip.compress(data))) == found(readings)

    def test_what_is_no_document_is_counted(self, listed: Listed) -> None:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as file:
            link = zipfile.ZipInfo("link.txt")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(link, "/etc/passwd")
            for name in ("__MACOSX/._a.txt", "b/.DS_Store", "Thumbs.db", "a.txt"):
                file.writestr(name, "words")
        container, document = listed("a.zip", made.getvalue())
        assert (container.text, container.reason, container.notes) == (None, None, {Note.unread_member: 4})
        assert document.name == "a.txt"

    def test_a_bad_member_costs_itself(self, listed: Listed) -> None:
        data = bytearray(archive({"a.txt": b"first" * 100, "b.txt": b"second", "c.txt": b"third"}))
        entries = [at for at in range(len(data)) if data[at : at + 4] == b"PK\1\2"]
        data[entries[1] + 8] |= 1  # encrypted
        data[entries[2] + 16] ^= 1  # of another checksum
        assert found(listed("a.zip", bytes(data))) == {
            "a.txt": ("first" * 100), "b.txt": "encrypted", "c.txt": "broken",
        }  # fmt: skip

    def test_bombs(self, listed: Listed) -> None:
        zeros = bytes(2 * BOMB_FLOOR)
        assert [r.reason for r in listed("a.zip", archive({"a.txt": zeros}))] == [Reason.decompression_bomb]
        mixed = archive({"r.bin": random.Random(7).randbytes(1 << 20), "a.txt": zeros, "b.txt": b"sound"})
        assert [reading.reason for reading in listed("a.zip", mixed)] == [
            Reason.unsupported, Reason.decompression_bomb, None,
        ]  # fmt: skip
        many = archive({f"{number}.txt": b"x" for number in range(50)})
        assert len(listed("a.zip", many, Limits(max_parts=10))) == 11
        nested = b"innermost"
        for number in range(12):
            nested = archive({"a.zip" if number else "a.txt": nested})
        assert [r.reason for r in listed("a.zip", nested)] == [Reason.unsupported]

    def test_names(self, listed: Listed) -> None:
        utf8 = archive({"prüfung.txt": b"first"})
        unmarked = bytearray(utf8)
        for at in range(len(unmarked)):  # as old programs write it: UTF-8, and no mark of it
            if unmarked[at : at + 4] == b"PK\1\2":
                unmarked[at + 9] &= ~0x08
            elif unmarked[at : at + 4] == b"PK\3\4":
                unmarked[at + 7] &= ~0x08
        for data in (utf8, bytes(unmarked)):
            assert found(listed("a.zip", data)) == {"prüfung.txt": "first"}

    def test_refused(self, listed: Listed) -> None:
        empty = archive({})
        cases = {b"no archive": Reason.wrong_suffix, b"PK\3\4 damaged": Reason.broken, empty: Reason.empty}
        assert [[r.reason for r in listed("a.zip", data)] for data in cases] == [[r] for r in cases.values()]


class TestMbox:
    HEAD = b"From ann@example.org Mon Jan  1 00:00:00 2001\n"

    def test_messages_are_documents(self, listed: Listed) -> None:
        one = self.HEAD + b"From: ann@example.org\nSubject: One\n\nFirst.\n\n>From here on.\n\n"
        two = self.HEAD + b"From: bo@example.org\nSubject: Two\n\nFrom the start, it is clear.\n\n"
        readings = listed("a.mbox", one + two)
        assert [reading.name for reading in readings] == ["1.eml", "2.eml"]
        assert str(readings[0].text).endswith("Subject: One\n\nFirst.\n\nFrom here on.\n\n")
        assert "From the start" in str(readings[1].text)
        assert [r.name for r in listed("a.mbox.gz", gzip.compress(one + two))] == ["1.eml", "2.eml"]

    def test_line_ends_of_windows_and_messages_without_headers(self, listed: Listed) -> None:
        one = self.HEAD + b"From: ann@example.org\n\nFirst.\n\n"
        data = one + self.HEAD + b"\nText alone.\n\n"
        assert [r.name for r in listed("a.mbox", data)] == ["1.eml", "2.txt"]
        assert [r.name for r in listed("a.mbox", (one * 3).replace(b"\n", b"\r\n"))] == [
            "1.eml", "2.eml", "3.eml",
        ]  # fmt: skip

    def test_refused(self, listed: Listed) -> None:
        assert [r.reason for r in listed("a.mbox", b"From here on, nothing.")] == [Reason.wrong_suffix]


def test_a_name_without_a_suffix_tells_nothing(listed: Listed) -> None:
    """As those in a maildir."""
    mail = b"Return-Path: <a@b.org>\nFrom: a@b.org\nSubject: x\n\nWords.\n"
    assert "Words." in str(listed("1700000000.M1P2.host:2,S", mail)[0].text)
    assert "Words." in str(listed("Inbox", b"From a@b.org Mon Jan  1 00:00:00 2001\n" + mail)[0].text)
    for name, data in {"README": b"Words.", "a.bin": bytes(100), "b": b"%PDF-1.4"}.items():
        assert [reading.reason for reading in listed(name, data)] == [Reason.unsupported]


class TestMail:
    def test_attachments_of_alternatives_that_are_not_shown(self, listed: Listed) -> None:
        """Apple Mail attaches to the HTML version."""
        data = (
            b"From: a@b.org\nContent-Type: multipart/alternative; boundary=A\n\n"
            b"--A\nContent-Type: text/plain\n\nThe plain version.\n"
            b"--A\nContent-Type: multipart/mixed; boundary=B\n\n"
            b"--B\nContent-Type: text/html\n\n<p>The HTML version.\n"
            b'--B\nContent-Disposition: attachment; filename="a.txt"\n\nAttached.\n--B--\n--A--\n'
        )
        whole, attached = listed("a.eml", data)
        assert str(whole.text).endswith("The plain version.\n\n[attachment]")
        assert (attached.name, attached.text) == ("a.txt", "Attached.")

    def test_files_in_letters(self, listed: Listed) -> None:
        text = b"Attached in letters, so that it shows."
        lines = b"".join(binascii.b2a_uu(text[at : at + 45]) for at in range(0, len(text), 45))
        body = b"See this.\n\nbegin 644 letter.txt\n" + lines + b"`\nend\n\nAnd begin 644 anew.\n"
        whole, attached = listed("a.eml", b"From: a@b.org\nSubject: x\n\n" + body)
        assert (attached.name, attached.text) == ("letter.txt", text.decode())
        assert [piece in str(whole.text) for piece in ("See this.", "[attachment]", "And begin 644 anew.")]
        assert "letter.txt" not in str(whole.text)
        broken = b"From: a@b.org\nSubject: x\n\nbegin 644 a.txt\nno such letters \x7f\nend\n"
        (whole,) = listed("a.eml", broken)
        assert "no such letters" in str(whole.text)

    def test_a_report_of_delivery_is_text(self, listed: Listed) -> None:
        data = (
            b"From: a@b.org\nContent-Type: multipart/report; boundary=A\n\n"
            b"--A\n\nIt failed.\n--A\nContent-Type: message/delivery-status\n\n"
            b"Reporting-MTA: dns; b.org\n\nFinal-Recipient: rfc822; quill@c.org\nStatus: 5.0.0\n--A--\n"
        )
        (whole,) = listed("a.eml", data)
        assert "Final-Recipient: rfc822; quill@c.org" in str(whole.text)

    def test_a_message_in_a_message_keeps_its_bytes(self, listed: Listed) -> None:
        inner = b"From: \xe4nn@example.org\nSubject: " + b"long " * 40 + b"\n\nInner, with \xe4.\n"
        for encoding, content in (("7bit", inner), ("base64", base64.encodebytes(inner))):
            head = f"From: a@b.org\nContent-Type: message/rfc822\nContent-Transfer-Encoding: {encoding}\n\n"
            _, attached = listed("a.eml", head.encode() + content)
            assert attached.name == "message.eml"
            assert "Inner, with ä." in str(attached.text)
            assert "long " * 39 in str(attached.text)


class TestTar:
    def test_members_are_documents_and_nothing_is_written(self, listed: Listed, tmp_path: Path) -> None:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as file:
            names = (
                "a.txt",
                "../../b.txt",
                "/c.txt",
                ".hidden",
                "__MACOSX/d.txt",
                "in.zip",
                f"{'long/' * 60}e.txt",
            )
            for name in names:
                data = archive({"f.txt": b"inner"}) if name == "in.zip" else name[-5:].encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                file.addfile(entry, io.BytesIO(data))
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            file.addfile(link)
        before = {*tmp_path.parent.rglob("*")}
        for name, data in (
            ("a.tar", made.getvalue()), ("a.tar.gz", gzip.compress(made.getvalue())),
            ("a.TGZ", gzip.compress(made.getvalue())),
        ):  # fmt: skip
            noted, *readings = listed(name, data)
            assert noted.notes == {Note.unread_member: 3}
            assert all(reading.belongs_to is None for reading in readings)
            texts = found(readings)
            assert len(texts) == 5
            assert texts["in.zip/f.txt"] == "inner"
            assert texts["b.txt"] == "b.txt"
        assert {path.name for path in {*tmp_path.parent.rglob("*")} - before} == {
            "a.tar",
            "a.tar.gz",
            "a.TGZ",
        }

    def test_damage(self, listed: Listed) -> None:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as file:
            for name in ("a.txt", "b.txt"):
                entry = tarfile.TarInfo(name)
                entry.size = 2000
                file.addfile(entry, io.BytesIO(b"word " * 400))
        cut = found(listed("a.tar", made.getvalue()[:4000]))
        assert cut.pop("a.txt").startswith("word")
        assert cut in ({"b.txt": "broken", "rest": "broken"}, {"rest": "broken"})
        assert found(listed("a.tar", made.getvalue()[:1500])) == {"a.txt": "broken", "rest": "broken"}
        assert found(listed("a.tar", b"no archive " * 100)) == {"": "wrong_suffix"}
        assert found(listed("a.tar", made.getvalue(), Limits(max_bytes=20_000)))["a.txt"].startswith("word")


def attribute(name: int, content: bytes, level: int = 1) -> bytes:
    return struct.pack("<BII", level, name, len(content)) + content + b"\0\0"


def properties(*entries: tuple[int, int, bytes]) -> bytes:
    packed = [
        struct.pack("<HHII", kind, name, 1, len(value)) + value + bytes(-len(value) % 4)
        for name, kind, value in entries
    ]
    return struct.pack("<I", len(packed)) + b"".join(packed)


class TestTnef:
    def winmail(self) -> bytes:
        name = "Prüfung.txt".encode("utf-16-le") + b"\0\0"
        return b"\x78\x9f\x3e\x22\1\0" + b"".join(
            [
                attribute(0x9003, properties((0x1000, 0x1F, "The body.".encode("utf-16-le")))),
                attribute(0x9002, bytes(14), 2),
                attribute(0x8010, b"PRUEFU~1.TXT\0", 2),
                attribute(0x800F, b"Attached.", 2),
                attribute(0x9005, properties((0x3707, 0x1F, name), (0x3701, 0x102, b"x")), 2),
                attribute(0x9002, bytes(14), 2),
                attribute(0x8010, b"b.xyz\0", 2),
                attribute(0x800F, b"?", 2),
            ]
        )

    def test_what_outlook_packed_comes_out(self, listed: Listed) -> None:
        mail = (
            b"From: a@b.org\nContent-Type: application/ms-tnef; name=winmail.dat\n"
            b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(self.winmail())
        )
        readings = listed("a.eml", mail)
        assert found(readings[1:]) == {
            "winmail.dat.tnef": "The body.\n\n[attachment]\n\n[attachment not read: unsupported]",
            "winmail.dat.tnef/Prüfung.txt": "Attached.",
            "winmail.dat.tnef/b.xyz": "unsupported",
        }
        octets = mail.replace(b"application/ms-tnef", b"application/octet-stream")
        assert "Attached." in found(listed("a.eml", octets)).values()

    def test_a_text_that_cannot_be_read_costs_itself(self, listed: Listed) -> None:
        body = attribute(0x9003, properties((0x1009, 0x102, bytes(8) + b"XXXX" + bytes(8))))
        file = attribute(0x9002, bytes(14), 2) + attribute(0x8010, b"a.txt\0", 2)
        data = b"\x78\x9f\x3e\x22\1\0" + body + file + attribute(0x800F, b"Attached.", 2)
        assert found(listed("a.tnef", data)) == {"body": "broken", "a.txt": "Attached."}

    def test_damage(self, listed: Listed) -> None:
        data = self.winmail()
        for size in range(6, len(data), 7):
            for reading in listed("a.tnef", data[:size]):
                assert reading.text or reading.reason


def with_attachments(page: bytes, files: dict[str, bytes]) -> bytes:
    document = pypdfium2.PdfDocument(page)
    for name, data in files.items():
        document.new_attachment(name).set_data(data)
    made = io.BytesIO()
    document.save(made)
    document.close()
    return made.getvalue()


class TestPdf:
    def test_attachments_are_documents(self, listed: Listed, pdf: Callable[..., bytes]) -> None:
        page = pdf(("The order refers to two schedules.", False))
        readings = listed("a.pdf", with_attachments(page, {"a.txt": b"Attached.", "b.xyz": b"?"}))
        assert found(readings)["a.txt"] == "Attached."
        assert str(readings[0].text).startswith("The order refers")
        assert str(readings[0].text).endswith("[attachment]\n\n[attachment not read: unsupported]")
        assert readings[1].belongs_to == ""

    def test_a_cover_that_cannot_be_read_costs_itself(
        self, listed: Listed, pdf: Callable[..., bytes]
    ) -> None:
        data = with_attachments(pdf(("", False)), {"a.txt": b"Attached."})
        assert "Attached." in found(listed("a.pdf", data)).values()

    def test_files_pinned_to_a_page(self, listed: Listed, pdf: Callable[..., bytes]) -> None:
        document = pypdfium2.PdfDocument(pdf(("The order has a file pinned to it.", False)))
        page = document[0]
        annotation = raw.FPDFPage_CreateAnnot(page, raw.FPDF_ANNOT_FILEATTACHMENT)
        name = ctypes.create_string_buffer("pinned.txt\0".encode("utf-16-le"))
        held = raw.FPDFAnnot_AddFileAttachment(annotation, ctypes.cast(name, raw.FPDF_WIDESTRING))
        pypdfium2.PdfAttachment(held, document).set_data(b"Pinned words.")
        raw.FPDFPage_CloseAnnot(annotation)
        made = io.BytesIO()
        document.save(made)
        assert found(listed("a.pdf", made.getvalue()))["pinned.txt"] == "Pinned words."


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases/files is absent")
def test_shared_cases() -> None:
    wanted = {
        "box.mbox": {"1.eml": "Abernathy", "2.eml": "Quillfeather"},
        "bundle.zip": {"a/order.txt": "Abernathy"},
        "tika__testPDFPackage.pdf": {"PDF1.pdf": "PDF1", "PDF2.pdf": "PDF2"},
    }
    for name, inside in wanted.items():
        texts = found(list(read_documents(CASES / name)))
        for part, words in inside.items():
            assert words in texts[part]


class TestObjects:
    """What Office embeds as a compound file."""

    def packed(self, path: bytes, data: bytes) -> bytes:
        names = b"\2\0" + b"label\0" + path + b"\0" + b"\0\0\3\0" + struct.pack("<I", 6) + b"C:\\x.t"
        content = names + struct.pack("<I", len(data)) + data
        return struct.pack("<I", len(content)) + content

    def test_the_file_inside_comes_out(self, listed: Listed, docx: Callable[..., bytes]) -> None:
        office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        objects = {
            "\x01Ole10Native": self.packed(b"C:\\files\\note.txt", b"Packed words."),
            "Package": archive({"a.txt": b"In a package."}),
        }
        relations = "".join(
            f'<Relationship Id="o{n}" Type="{office}/oleObject" Target="embeddings/{n}.bin"/>' for n in (0, 1)
        )
        names = f'xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:r="{office}"'
        body = "".join(
            f'<w:p><w:r><w:object><o:OLEObject {names} Type="Embed" r:id="o{n}"/></w:object></w:r></w:p>'
            for n in (0, 1)
        )
        made = docx(
            f"<w:p><w:r><w:t>Two objects:</w:t></w:r></w:p>{body}",
            raw={
                f"word/embeddings/{n}.bin": build_compound_file({name: data})
                for n, (name, data) in enumerate(objects.items())
            },
            more_relations=relations,
        )
        assert found(listed("a.docx", made)) == {
            "": "Two objects:\n[attachment]\n[attachment]",
            "0.bin/note.txt": "Packed words.",
            "1.bin/object/a.txt": "In a package.",
        }

    def test_damage(self, listed: Listed) -> None:
        for size in range(0, 60, 5):
            content = self.packed(b"a.txt", b"Packed words.")[:size]
            for reading in listed("a.ole", build_compound_file({"\x01Ole10Native": content})):
                assert reading.text or reading.reason
