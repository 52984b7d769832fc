from __future__ import annotations

import base64
import gzip
import resource
import tracemalloc
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from lexveil.nlp.readers import Limits, Reason, read_documents
from lexveil.nlp.readers.contract import Note

BOMB = gzip.compress(bytes(20 << 20))


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


@pytest.mark.slow
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
        (b"%PDF-1.4", Reason.broken),
        (b"", Reason.empty),
        (sealed, Reason.encrypted),
        (pgp, Reason.encrypted),
    ]
    assert [refusal("a.eml", data) for data, _ in cases] == [reason for _, reason in cases]
    assert (
        refusal("a.eml", bytes(message("x" * 2000)), Limits(max_text_bytes=1000)) is Reason.decompression_bomb
    )


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Subject: =?iso-8859-1?Q?M=FCller_v_Smith?=", "Subject: Müller v Smith"),
        ("Subject: =?utf-8?B?5byg5LiJ?= =?utf-8?B?6K+J5p2O5Zub?=", "Subject: 张三诉李四"),
        ("Subject: a very\n long\n\tsubject", "Subject: a very long subject"),
        ("SUBJECT: upper case", "Subject: upper case"),
        ("From: =?utf-8?q?J=C3=BCrgen?= Weiss <j@example.org>", "From: Jürgen Weiss <j@example.org>"),
        ("From: \"Other, Ann\" <ann@example.org>", 'From: "Other, Ann" <ann@example.org>'),
        ("To: undisclosed-recipients:;", "To: undisclosed-recipients:;"),
        ("Cc: a@example.org, b@example.org", "Cc: a@example.org, b@example.org"),
        ("Bcc: hidden@example.org", "Bcc: hidden@example.org"),
        ("From: <<<broken@@", "From: <<<broken@@"),
        ("From: ann@example.org (Ann Other)", "From: ann@example.org (Ann Other)"),
        ("From: Dr. A. Other, LL.M. <ann@example.org>", "From: Dr. A. Other, LL.M. <ann@example.org>"),
        ("From: Ann Other [mailto:ann@example.org]", "From: Ann Other [mailto:ann@example.org]"),
        ("To: 'Ann' <a@example.org>; Bo <b@example.org>", "To: 'Ann' <a@example.org>; Bo <b@example.org>"),
        ("To: =?utf-8?q?J=C3=BCrgen?= <j@example.org>; Bo", "To: Jürgen <j@example.org>; Bo"),
        ('From: "=?utf-8?q?J=C3=BCrgen?=" <j@example.org>', "From: Jürgen <j@example.org>"),
        ("From: =?no-such?q?Ann?= <a@example.org>", "From: =?no-such?q?Ann?= <a@example.org>"),
        ("Subject: =?utf-8?B?broken!!?=", "Subject:"),
        ("Date: some day soon", "Date: some day soon"),
        ("Subject:", "Subject:"),
    ],
)  # fmt: skip
def test_main_headers(read: Callable[..., str], raw: str, shown: str) -> None:
    header, body = read("a.eml", f"MIME-Version: 1.0\n{raw}\n\nbody\n".encode()).split("\n\n", 1)
    assert body == "body\n"
    assert header.startswith(shown)
    assert "\n" not in header


def test_technical_headers_are_not_shown(read: Callable[..., str]) -> None:
    mail = message(
        Message_ID="<secret-id@example.org>", Received="from host.example.org", X_Mailer="Tool 1.0"
    )
    text = read("a.eml", bytes(mail))
    assert not [word for word in ("secret-id", "host.example", "Tool") if word in text]


def test_every_recipient_line_is_kept_when_a_header_is_repeated(read: Callable[..., str]) -> None:
    data = b"From: a@example.org\nTo: one@example.org\nTo: two@example.org\n\nbody"
    assert read("a.eml", data).startswith("From: a@example.org\nTo: one@example.org\nTo: two@example.org\n\n")


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("7bit", b"plain", "plain"),
        ("8bit", "Müller".encode(), "Müller"),
        ("quoted-printable", b"M=C3=BCller =E2=82=AC 5 with=\nout delay", "Müller € 5 without delay"),
        ("base64", base64.encodebytes("张三".encode()), "张三"),
        ("base64", b"not really base 64!", None),
        ("x-unknown", b"as it is", "as it is"),
    ],
)  # fmt: skip
def test_transfer_encodings(read: Callable[..., str], encoding: str, body: bytes, text: str | None) -> None:
    kind = "Content-Type: text/plain; charset=utf-8"
    head = f"From: a@example.org\n{kind}\nContent-Transfer-Encoding: {encoding}\n\n"
    assert read("a.eml", head.encode() + body).startswith("From: a@example.org")
    if text is not None:
        assert read("a.eml", head.encode() + body).strip().endswith(text)


def test_line_ends_of_the_wire_are_those_of_the_text(read: Callable[..., str]) -> None:
    assert read("a.eml", b"From: a@example.org\r\nSubject: x\r\n\r\none\r\ntwo\r\n") == (
        "From: a@example.org\nSubject: x\n\none\ntwo\n"
    )


def test_inline_pieces_are_read_in_order(read: Callable[..., str]) -> None:
    mail = message("before the picture\n")
    mail.add_attachment(
        b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="seal.png", disposition="inline"
    )
    mail.add_attachment("after the picture\n", disposition="inline")
    text = read("a.eml", bytes(mail))
    assert (
        text.index("before the picture") < text.index("[attachment not read: broken]") < text.index("after")
    )
    assert "[attachment]\n\nafter" not in text


def test_a_forwarded_chain_keeps_every_sender(read: Callable[..., str]) -> None:
    mail = message("the first message", From="first@example.org")
    for number in range(4):
        outer = message(f"see below, {number}", From=f"forward{number}@example.org")
        outer.add_attachment(mail)
        mail = outer
    text = read("a.eml", bytes(mail))
    senders = ["forward3@", "forward2@", "forward1@", "forward0@", "first@"]
    assert [text.count(sender) for sender in senders] == [1] * 5
    assert sorted(senders, key=text.index) == senders
    assert text.endswith("the first message\n")


@pytest.mark.parametrize(
    ("name", "kind", "data", "shown"),
    [
        ("NOTE.TXT", "text/plain", b"in text", "[attachment]\n\nin text"),
        ("note.log", "text/plain", b"in text", "[attachment]\n\nin text"),
        ("page", "text/html", b"<p>in HTML", "[attachment]\n\nin HTML"),
        (
            "note.txt.gz",
            "application/gzip",
            gzip.compress(b"compressed", mtime=0),
            "[attachment]\n\ncompressed",
        ),
        ("lease.PDF", "application/octet-stream", b"no PDF", "[attachment not read: wrong_suffix]"),
        ("scan", "application/pdf", b"%PDF-1.4 damaged", "[attachment not read: broken]"),
        ("letter.rtf", "text/rtf", b"{\\rtf1 no secret}", "no secret"),
        ("winmail.dat", "application/ms-tnef", b"\x78\x9f\x3e\x22", "[attachment not read: empty]"),
        ("empty.txt", "text/plain", b"", "[attachment not read: empty]"),
        ("bomb.txt.gz", "application/gzip", BOMB, "[attachment not read: decompression_bomb]"),
        ("../../etc/passwd.txt", "application/octet-stream", b"a name", "[attachment]\n\na name"),
        ("起诉书.txt", "application/octet-stream", "原告".encode("gbk"), "[attachment]\n\n原告"),
    ],
)  # fmt: skip
def test_attachments(read: Callable[..., str], name: str, kind: str, data: bytes, shown: str) -> None:
    mail = message()
    main, _, sub = kind.partition("/")
    mail.add_attachment(data, maintype=main, subtype=sub, filename=name)
    assert read("a.eml", bytes(mail)).strip().endswith(shown)


def test_a_signed_message_is_read_and_an_encrypted_part_is_named(read: Callable[..., str]) -> None:
    signed = (
        b'From: a@example.org\nContent-Type: multipart/signed; boundary="s"\n\n'
        b"--s\nContent-Type: text/plain\n\nsigned words\n--s\nContent-Type: application/pgp-signature\n\n"
        b"-----BEGIN PGP SIGNATURE-----\n--s--\n"
    )
    assert "signed words" in read("a.eml", signed)
    assert read("a.eml", signed).endswith("[attachment not read: unsupported]")
    sealed = EmailMessage()
    sealed["From"], sealed["Content-Type"] = (
        "b@example.org",
        'application/pkcs7-mime; smime-type="enveloped-data"',
    )
    outer = message("see the sealed message")
    outer.add_attachment(sealed)
    assert "[attachment not read: encrypted]" in read("a.eml", bytes(outer))


@pytest.mark.parametrize(
    "data",
    [
        b'From: a@example.org\nContent-Type: multipart/mixed; boundary="x"\n\nno boundary at all',
        b'From: a@example.org\nContent-Type: multipart/mixed; boundary="x"\n\n--x\n\nnever closed',
        b"From: a@example.org\nContent-Type: multipart/mixed\n\nno boundary parameter",
        b"From: a@example.org\nContent-Type: text/plain; charset=\n\nno charset",
        b"From: a@example.org\nContent-Type: ;;;\n\nno type",
        b"From: a@example.org\nContent-Type: message/rfc822\n\nnot a message",
        b"From a@example.org Mon Jan  2 10:00:00 2023\nFrom: a@example.org\n\nmbox line first",
        b"From: a@example.org\nthis line is no header\n\nbody",
        b"From: a@example.org\nContent-Disposition: attachment; filename*=bad''%ZZ\n\nbody",
    ],
)
def test_malformed_messages_keep_their_sender(read: Callable[..., str], data: bytes) -> None:
    assert read("a.eml", data).startswith("From: a@example.org")


@pytest.mark.parametrize("preferred", ["html", "plain"])
def test_the_last_alternative_is_the_richest(read: Callable[..., str], preferred: str) -> None:
    mail = message("" if preferred == "html" else "the plain version")
    mail.add_alternative("<p>the first HTML</p>", subtype="html")
    mail.add_alternative("<p>the second HTML</p>", subtype="html")
    text = read("a.eml", bytes(mail))
    assert ("the second HTML" in text, "the plain version" in text) == (
        preferred == "html",
        preferred == "plain",
    )
    assert "the first HTML" not in text


def test_all_parts_together_are_bounded(refusal: Callable[..., Reason], read: Callable[..., str]) -> None:
    mail = message("")
    for number in range(10):
        mail.add_attachment(f"{number}" * 200, filename=f"{number}.txt")
    assert refusal("a.eml", bytes(mail), Limits(max_text_bytes=1500)) is Reason.decompression_bomb
    assert "999" in read("a.eml", bytes(mail), Limits(max_text_bytes=5000))


def test_a_subject_of_thousands_of_encoded_words_takes_little_time_and_memory(
    read: Callable[..., str],
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    words = " ".join(["=?utf-8?q?J=C3=BCrgen?="] * 5_000)
    text = read("a.eml", f"From: a@example.org\nSubject: {words}\n\nbody".encode())
    assert text.count("Jürgen") == 5_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_html_is_read_where_the_plain_version_is_a_note(read: Callable[..., str]) -> None:
    def mail(plain: str, html: str) -> bytes:
        versions = {"plain": plain, "html": html}
        parts = "".join(f"--A\nContent-Type: text/{kind}\n\n{text}\n" for kind, text in versions.items())
        return f"From: a@b.org\nContent-Type: multipart/alternative; boundary=A\n\n{parts}--A--\n".encode()

    order = "<p>" + "The deposit is to be paid back to Ann Other. " * 9
    assert "Ann Other" in read("a.eml", mail("See the HTML version.", order))
    assert read("a.eml", mail("The order.", "<p>The order, in HTML.")).endswith("The order.")


def test_mail_as_other_programs_store_it(read: Callable[..., str]) -> None:
    message = b"From: a@b.org\nSubject: Order\n\nAnn Other sues.\n"
    shown = "From: a@b.org\nSubject: Order\n\nAnn Other sues."
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert read("a.eml", message.decode().encode(encoding)).strip() == shown
    assert read("a.emlx", b"%d\n%s<plist/>" % (len(message), message)).strip() == shown
    assert read("a.emlx", message).strip() == shown
    inner = base64.encodebytes(message).decode()
    forwarded = (
        "From: c@d.org\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + inner
    ).encode()
    assert read("a.eml", forwarded).strip() == f"From: c@d.org\n\n[attachment]\n\n{shown}"


@pytest.mark.slow
def test_a_subject_of_many_words_is_decoded_in_bounded_memory(read: Callable[..., str]) -> None:
    words = " ".join(f"=?utf-8?q?a=C3=BC{number}?=" for number in range(20_000))
    tracemalloc.start()
    text = read("a.eml", f"From: a@b.org\nSubject: {words}\n\nbody\n".encode())
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert "Subject: aü0aü1aü2" in text


def test_a_header_of_any_length_and_any_number_of_parts_take_little_time(read: Callable[..., str]) -> None:
    """Found by mutations: the standard library's parser took minutes, and a millisecond a part."""
    long = b"From: a@b.org\nContent-Type: text/plain;" + b" \t x" * 100_000 + b"\n\nThe body.\n"
    assert read("a.eml", long).endswith("The body.\n")
    part = b"--A\nContent-Type: multipart/mixed; boundary=A\n\n"
    many = b"From: a@b.org\nContent-Type: multipart/mixed; boundary=A\n\n" + part * 3000
    assert read("a.eml", many).count("[attachment not read") == 3000


@pytest.mark.parametrize("marks", ['"', "(a)", "\\", 'a="', "a ", ",", "=?utf-8?q?=22?= "])
def test_marks_without_end_in_an_address_take_little_time(read: Callable[..., str], marks: str) -> None:
    """The time that the standard library's parser takes grows with the square: eleven seconds for this."""
    text = read("a.eml", f"From: Ann Other <a@b.org>\nTo: {marks * 20_000}\n\nbody\n".encode())
    assert text.startswith("From: Ann Other <a@b.org>\nTo: ")


def test_what_a_container_could_not_give_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(
        b"From: a@b.org\nContent-Type: multipart/mixed; boundary=A\n\n--A\n"
        b"Content-Type: application/x-unread; reason=over_size\n\n--A\n"
        b"Content-Type: application/x-unread; reason=else\n\n--A--\n"
    )
    outer, *inner = read_documents(tmp_path / "a.eml")
    assert [one.reason for one in inner] == [Reason.over_size, Reason.broken]
    assert outer.notes == {Note.unread_attachment: 2}


def test_a_body_whose_header_tells_no_boundary(read: Callable[..., str]) -> None:
    head = b"\xef\xbb\xbfFrom: a@b.org\nContent-Type: multipart/mixed\n\n"
    body = b"Preamble\n--X=1\nContent-Type: text/html\n\n<p>The order of Judge Abernathy</p>\n--X=1--\n"
    assert read("a.eml", head + body) == "From: a@b.org\n\nThe order of Judge Abernathy"
    assert read("a.eml", head + b"The order, alone").endswith("The order, alone")


def test_a_report_that_base64_hides(read: Callable[..., str]) -> None:
    report = base64.encodebytes(b"Final-Recipient: rfc822; ann@example.org\nAction: failed\n").decode()
    head = "From: a@b.org\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
    assert "ann@example.org" in read("a.eml", (head + report).encode())


def test_an_attachment_that_is_labeled_as_alternatives(tmp_path: Path) -> None:
    """Without a boundary, nothing of it was read, and nothing told so."""
    (tmp_path / "a.eml").write_bytes(
        b"From: a@b.org\nContent-Type: multipart/mixed; boundary=B\n\n--B\n\nSee.\n"
        b"--B\nContent-Type: multipart/alternative\n"
        b'Content-Disposition: attachment; filename="a.txt"\n\nAttached.\n--B--\n'
    )
    _, attached = read_documents(tmp_path / "a.eml")
    assert (attached.name, str(attached.text).strip()) == ("a.txt", "Attached.")
