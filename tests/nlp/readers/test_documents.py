"""The documents of one file: what is inside of it, in order, and within bounds."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import ClassVar

import pypdfium2
import pytest

from lexveil.nlp.readers import (
    Limits,
    Note,
    Reading,
    Reason,
    isolation,
    read_content_documents,
    read_documents,
)
from lexveil.nlp.readers.walk import Place


def mail(body: str, *attached: tuple[str, bytes] | EmailMessage) -> EmailMessage:
    made = EmailMessage()
    made["From"] = "ann@example.org"
    made.set_content(body)
    for one in attached:
        if isinstance(one, EmailMessage):
            made.add_attachment(one)
        else:
            name, data = one
            made.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return made


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., list[Reading]]:
    def call(name: str, data: bytes, limits: Limits | None = None) -> list[Reading]:
        path = tmp_path / name
        path.write_bytes(data)
        return list(read_documents(path, limits))

    return call


def outcomes(readings: list[Reading]) -> list[tuple[str, str]]:
    return [(reading.name, (reading.text or str(reading.reason)).strip()) for reading in readings]


def test_a_document_precedes_what_is_inside(listed: Callable[..., list[Reading]]) -> None:
    inner = mail("inner", ("a.txt", b"innermost"))
    data = bytes(mail("outer", ("a.txt", b"first"), ("a.txt", b"second"), ("x.bin", b"?"), inner))
    found = listed("m.eml", data)
    head = "From: ann@example.org\n\n"
    shown = "[attachment]\n\n[attachment]\n\n[attachment not read: unsupported]\n\n[attachment]"
    assert outcomes(found) == [
        ("", f"{head}outer\n\n\n{shown}"),
        ("a.txt", "first"),
        ("a.txt#2", "second"),
        ("x.bin", "unsupported"),
        ("message.eml", f"{head}inner\n\n\n[attachment]"),
        ("message.eml/a.txt", "innermost"),
    ]
    assert [reading.belongs_to for reading in found] == [None, "", "", "", "", ""]
    assert found[0].notes == {Note.unread_attachment: 1}
    assert "innermost" not in repr(found)
    assert "message" not in repr(found)


def test_a_file_under_the_suffix_of_another_format_is_read(
    read: Callable[..., str], pdf: Callable[..., bytes], docx: Callable[..., bytes]
) -> None:
    prose = "The lease of Ann Other was signed in May and ended in June of the next year."
    page = f"<w:p><w:r><w:t>{prose}</w:t></w:r></w:p>"
    contents = [
        ("a.txt", rb"{\rtf1 " + prose.encode() + b"}"),
        ("a.html", pdf((prose, False))),
        ("a.eml", docx(page)),
        ("a.pdf", docx(page)),
        ("a.pdf", b"Subject: Lease\n" + bytes(mail(prose))),
        ("a.pdf", f"<html><body><p>{prose}</p></body></html>".encode()),
        ("a.png", pdf((prose, False))),
        ("a.mbox", b"Subject: Lease\n" + bytes(mail(prose))),
    ]
    assert [prose in read(name, data) for name, data in contents] == [True] * len(contents)


def test_names_have_a_utf8_form_and_no_way_out(listed: Callable[..., list[Reading]]) -> None:
    head = b"From: a@b.c\nContent-Type: multipart/mixed; boundary=B\n\n--B\n"
    raw = head + b'Content-Disposition: attachment; filename="%s"\n\nx\n--B--\n'
    names = [listed("m.eml", raw % name)[1].name for name in (b"/../a.txt", b"k\xe4.txt", b"..\\a.txt", b"")]
    for name in names:
        assert name.encode()
        assert not name.startswith("/")
    assert names[3].startswith("attachment")


def test_bounds(listed: Callable[..., list[Reading]]) -> None:
    many = bytes(mail("m", *[(f"{number}.txt", b"x" * 100) for number in range(20)]))
    few = listed("m.eml", many, Limits(max_parts=5))
    assert [str(reading.reason) for reading in few] == [*["None"] * 6, "too_many_parts"]
    assert few[0].text is not None
    assert few[0].text.endswith("[attachment not read: too_many_parts]")
    small = listed("m.eml", many, Limits(max_total_bytes=350))
    assert [reading.reason for reading in small][-1] is Reason.decompression_bomb
    assert len(small) == 5
    nested = mail("0")
    for number in range(1, 12):
        nested = mail(str(number), nested)
    deep = listed("m.eml", bytes(nested), Limits(max_depth=3))
    assert [reading.reason for reading in deep] == [None, None, None, None, Reason.unsupported]


def test_what_is_refused_beforehand_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.eml"
    path.write_bytes(bytes(mail("m", ("a.txt", b"first"), ("b.txt", b"second"))))
    found = list(read_documents(path, None, refused={(0,): Reason.crashed}))
    assert [reading.reason for reading in found] == [None, Reason.crashed, None]
    assert found[0].text is not None
    assert "[attachment not read: crashed]" in found[0].text


def test_a_walk_begins_where_another_one_broke_off() -> None:
    """Wherever that was, nothing is missing, nothing comes twice, and nothing before it is read again."""
    inner = zip_files({"a.txt": b"One.", "b.zip": zip_files({"c.txt": b"Two.", ".d": b"x"}), "e.txt": b"x"})
    letter = bytes(mail("m", ("a.txt", b"first"), ("b.zip", inner)))
    folder = {"a.txt": b"Three.", "m.eml": letter, "b.zip": inner, "p.pdf": portfolio({"f.txt": b"Four."})}
    data = zip_files({**folder, "a.bin": b"?", "z.txt": b"Five."})
    found: list[Reading] = []
    starts: list[tuple[Place, int]] = []
    every: list[Place] = []

    def begin(place: Place) -> None:
        every.append(place)
        if place.is_start:
            starts.append((place, len(found)))

    found += read_content_documents("a.zip", data, begin=lambda place: None)
    whole, found = found, []
    for reading in read_content_documents("a.zip", data, begin=begin):
        found.append(reading)
    assert found == whole
    assert len({place.path for place, _ in starts}) > 8
    assert max(len(place.path) for place, _ in starts) == 3
    for start, given in starts:
        again: list[Place] = []
        rest = list(read_content_documents("a.zip", data, begin=again.append, start=start))
        assert rest == whole[given:]
        rest_of_places = every[every.index(start) :]
        assert again[-len(rest_of_places) :] == rest_of_places
        passed = again[: -len(rest_of_places)]  # what contains it, and a call for each part before it
        assert len(passed) == len(start.path) + sum(start.path)
        assert all(start.path[: len(place.path)] == place.path != start.path for place in passed)
        assert not any(place.is_start for place in passed)


def test_what_a_container_without_text_holds_is_one_unit(listed: Callable[..., list[Reading]]) -> None:
    """The files of a portfolio belong together as attachments do; those of an archive do not."""
    inner = zip_files({"b.txt": b"Second.", "c.txt": b"Third."})
    data = portfolio({"x.bin": b"?", "a.txt": b"First.", "d.zip": inner})
    found = listed("portfolio.pdf", data)
    assert [(one.name, one.belongs_to) for one in found if one.text is not None] == [
        ("a.txt", None),
        ("d.zip/b.txt", "a.txt"),
        ("d.zip/c.txt", "a.txt"),
    ]
    assert [one.belongs_to for one in listed("d.zip", inner)] == [None, None]


def zip_files(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def portfolio(files: dict[str, bytes]) -> bytes:
    """A PDF whose only page is empty."""
    document = pypdfium2.PdfDocument.new()
    document.new_page(200, 200)
    for name, data in files.items():
        document.new_attachment(name).set_data(data)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


class TestOtherFormats:
    """By kreuzberg itself."""

    PAGE = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Order</h1>'
        "<p>The order of Judge Abernathy.</p></body></html>"
    )
    BOOK: ClassVar = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        "</container>",
        "a.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>',
        "a.xhtml": PAGE,
    }

    def epub(self) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, content in self.BOOK.items():
                archive.writestr(name, content)
        return made.getvalue()

    def test_they_are_read_on_demand_with_a_mark_and_a_count(self, tmp_path: Path) -> None:
        (tmp_path / "a.epub").write_bytes(self.epub())
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("b.epub", self.epub())
        assert [one.reason for one in isolation.read_documents(tmp_path / "a.epub")] == [Reason.unsupported]
        for name in ("a.epub", "a.zip"):
            (reading,) = isolation.read_documents(tmp_path / name, Limits(others=True))
            assert reading.text is not None
            assert "The order of Judge Abernathy." in reading.text
            assert reading.text.endswith(
                "[read by another program: what is inside of this file may be missing]"
            )
            assert reading.notes == {Note.read_elsewhere: 1}

    def test_what_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        limits = Limits(others=True)
        (tmp_path / "a.epub").write_bytes(self.epub()[:200])
        (tmp_path / "b.rar").write_bytes(b"Rar!\x1a\x07\x00" + bytes(99))
        (tmp_path / "c.epub").write_bytes(b" ")
        for name, reason in (
            ("a.epub", Reason.broken), ("b.rar", Reason.unsupported), ("c.epub", Reason.empty),
        ):  # fmt: skip
            assert [one.reason for one in read_documents(tmp_path / name, limits)] == [reason]
        (tmp_path / "a.epub").write_bytes(self.epub())
        monkeypatch.setitem(sys.modules, "kreuzberg", None)
        assert [one.reason for one in read_documents(tmp_path / "a.epub", limits)] == [Reason.unsupported]
