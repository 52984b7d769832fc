"""Saved pages."""

from __future__ import annotations

import base64
from collections.abc import Callable

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents

Refusal = Callable[..., Reason]
PAGE = """From: <Saved by a browser>
Subject: =?utf-8?q?Docket_of_M=C3=BCller?=
MIME-Version: 1.0
Content-Type: multipart/related; boundary="b"

--b
Content-Type: multipart/alternative; boundary="c"

--c
Content-Type: text/html; charset="windows-1252"
Content-Transfer-Encoding: quoted-printable

<html><body><p>The order of Judge M=FCller</p><script>no</script></body></html>
--c--
--b
Content-Type: text/html
Content-Transfer-Encoding: base64

{frame}
--b
Content-Type: image/png

xxx
--b--
"""


def test_a_page_its_frames_and_pictures() -> None:
    page = PAGE.format(frame=base64.b64encode(b"<p>In a frame</p>").decode())
    (reading,) = read_content_documents("a.mhtml", page.encode())
    assert reading.text == "The order of Judge Müller\n\nIn a frame"
    assert reading.fields == {"title": "Docket of Müller"}
    assert reading.notes == {Note.unread_picture: 1}


def test_what_is_refused(refusal: Refusal) -> None:
    assert refusal("a.mht", b"no page at all") == Reason.wrong_suffix
    big = PAGE.format(frame=base64.b64encode(b"<p>" + b"x" * 2000).decode())
    assert refusal("a.mht", big.encode(), Limits(max_text_bytes=1000)) == Reason.decompression_bomb
