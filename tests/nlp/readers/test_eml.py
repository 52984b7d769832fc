from __future__ import annotations

import base64
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from lexveil.nlp.readers import Limits, Reason


def message(text: str | None = "Dear Sir,\n\nplease find the lease.\n", **headers: str) -> EmailMessage:
    mail = EmailMessage()
    for name, value in {"From": "Ann Other <ann@example.org>", "Subject": "The lease", **headers}.items():
        mail[name.replace("_", "-")] = value
    if text is not None:
        mail.set_content(text)
    return mail


def test_headers_then_body(read: Callable[..., str]) -> None:
    mail = message(
        To="张三 <zhang@example.org>", Cc="Bo Müller <bo@example.org>", Date="Mon, 2 Jan 2023 10:00:00 +0000"
    )
    assert read("a.eml", bytes(mail)) == (
        "From: Ann Other <ann@example.org>\nTo: 张三 <zhang@example.org>\nCc: Bo Müller <bo@example.org>\n"
        "Date: Mon, 02 Jan 2023 10:00:00 +0000\nSubject: The lease\n\nDear Sir,\n\nplease find the lease.\n"
    )


def test_plain_text_is_preferred_and_html_the_substitute(read: Callable[..., str]) -> None:
    mail = message()
    mail.add_alternative("<p>the <b>HTML</b> version</p>", subtype="html")
    assert "HTML" not in read("a.eml", bytes(mail))
    mail = message(" \n")
    mail.add_alternative("<p>the <b>HTML</b> version</p>", subtype="html")
    assert "the HTML version" in read("a.eml", bytes(mail))


@pytest.mark.parametrize(
    ("header", "body", "wanted"),
    [
        ("text/plain; charset=gb2312", "被告人张三".encode("gbk"), "被告人张三"),
        ("text/plain; charset=no-such-thing", "café".encode(), "café"),
        ("text/plain", "Müller’s".encode("cp1252"), "Müller’s"),
        ("text/html; charset=utf-8", "<p>张三 &amp; Sons</p>".encode(), "张三 & Sons"),
    ],
)
def test_charsets(read: Callable[..., str], header: str, body: bytes, wanted: str) -> None:
    head = f"Subject: =?utf-8?B?5byg5LiJ?=\nContent-Type: {header}\nContent-Transfer-Encoding: base64\n\n"
    assert read("a.eml", head.encode() + base64.encodebytes(body)).strip() == f"Subject: 张三\n\n{wanted}"


def test_raw_bytes_in_a_header(read: Callable[..., str]) -> None:
    assert "张三" in read("a.eml", "Subject: 张三\nFrom: a@b.c\n\nbody".encode("gbk"))


def test_every_attachment_is_read_or_named_as_unread(
    read: Callable[..., str], docx: Callable[..., bytes], pdf: Callable[..., bytes]
) -> None:
    mail = message()
    word = docx("<w:p><w:r><w:t>in Word</w:t></w:r></w:p>")
    for name, data in {
        "a.txt": b"in text",
        "b.docx": word,
        "c.pdf": pdf(("in a PDF, in a whole line of it", False)),
        "d.docx": word[:-40],
        "e.xyz": b"?",
        "f.pdf": b"no PDF",
    }.items():
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    mail.add_attachment("year;sum\n2023;5\n", subtype="csv", filename="g.csv")
    mail.add_attachment(message("the inner message"))
    text = read("a.eml", bytes(mail))
    order = [
        "please find", "[attachment]\n\nin text", "[attachment]\n\nin Word", "[attachment]\n\nin a PDF",
        "[attachment not read: broken]", "[attachment not read: unsupported]",
        "[attachment not read: wrong_suffix]", "year;sum", "[attachment]\n\nFrom: Ann", "the inner message",
    ]  # fmt: skip
    places = [text.find(piece) for piece in order]
    assert places == sorted(places)
    assert places[0] >= 0


def test_depth_is_bounded(read: Callable[..., str]) -> None:
    mail = message("innermost")
    for _ in range(30):
        outer = message("outer")
        outer.add_attachment(mail)
        mail = outer
    text = read("a.eml", bytes(mail))
    assert "[attachment not read: unsupported]" in text
    assert "innermost" not in text


def test_refused(refusal: Callable[..., Reason]) -> None:
    sealed = b'From: a@b.c\nContent-Type: application/pkcs7-mime; smime-type="enveloped-data"\n\nAAAA'
    pgp = b'From: a@b.c\nContent-Type: multipart/encrypted; boundary="x"\n\n--x\n\nVersion: 1\n--x--\n'
    cases = [
        (b"A letter that is no mail.\n\nReally.", Reason.wrong_suffix),
        (b"%PDF-1.4", Reason.wrong_suffix),
        (b"", Reason.empty),
        (sealed, Reason.encrypted),
        (pgp, Reason.encrypted),
    ]
    assert [refusal("a.eml", data) for data, _ in cases] == [reason for _, reason in cases]
    assert (
        refusal("a.eml", bytes(message("x" * 2000)), Limits(max_text_bytes=1000)) is Reason.decompression_bomb
    )
