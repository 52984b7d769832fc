"""Messages of Outlook."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lexveil.nlp.readers import Limits, Reason, UnreadableError
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents
from lexveil.nlp.readers.mapi import decompress_rtf
from tests.nlp.readers.compound_file import build_compound_file

Read = Callable[..., str]
Refusal = Callable[..., Reason]
SENT = 132_329_808_000_000_000  # 3 May 2020, 12:00 UTC


def store(head: int, numbers: Mapping[int, tuple[int, int]], **more: Any) -> dict[str, Any]:
    """A storage; the names of properties are hexadecimal, with their type."""
    rows = b"".join(struct.pack("<HHIQ", kind, name, 6, value) for name, (kind, value) in numbers.items())
    return {
        "__properties_version1.0": bytes(head) + rows,
        **{(f"__substg1.0_{key[1:]}" if key.startswith("p") else key): value for key, value in more.items()},
    }


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def message(more: Mapping[str, Any], head: int = 32) -> dict[str, Any]:
    to = store(8, {0x0C15: (3, 1)}, p3001001F=wide("Bob Example"), p39FE001F=wide("bob@example.org"))
    cc = store(8, {0x0C15: (3, 2)}, p3001001F=wide("/o=x"), p3003001F=wide("/o=x"))
    return store(
        head,
        {0x0039: (0x40, SENT), 0x3FDE: (3, 1250)},
        **{
            "p0C1A001F": wide("Anna Śmiała"),
            "p5D01001F": wide("anna@example.org"),
            "p0037001F": wide("Offer\r\nin Roe v. Doe"),
            "__recip_version1.0_#00000000": to,
            "__recip_version1.0_#00000001": cc,
            **more,
        },
    )


HEAD = (
    "From: Anna Śmiała <anna@example.org>\nTo: Bob Example <bob@example.org>\nCc: /o=x\n"
    "Date: Sun, 03 May 2020 12:00:00 +0000\nSubject: Offer in Roe v. Doe"
)


@pytest.mark.parametrize(
    "body",
    [
        {"p1000001F": wide("Dear Judge Śliwa,\r\nyes.")},
        {"p1000001E": "Dear Judge Śliwa,\r\nyes.".encode("cp1250")},
        {"p10130102": "<html><p>Dear Judge Śliwa,<br>yes.</p></html>".encode("cp1250")},
        {"p10090102": b"\0" * 8 + b"MELA" + b"\0" * 4},
    ],
)
def test_headers_and_bodies(read: Read, body: Mapping[str, bytes]) -> None:
    if "p10090102" in body:
        page = rb"{\rtf1\ansi\ansicpg1250 Dear Judge \'8cliwa,\line yes.}"
        body = {"p10090102": struct.pack("<II4sI", len(page) + 12, len(page), b"MELA", 0) + page}
    assert read("a.msg", build_compound_file(message(body))) == f"{HEAD}\n\nDear Judge Śliwa,\nyes."


def test_attachments_and_attached_messages_are_documents_of_their_own(read: Read) -> None:
    file = store(8, {}, p3707001F=wide('order "1".txt'), p37010102=b"The order of Judge Abernathy")
    inner = message({"p1000001F": wide("The inner text")}, 24)
    data = build_compound_file(
        message(
            {
                "p1000001F": wide("See below"),
                "__attach_version1.0_#00000000": file,
                "__attach_version1.0_#00000001": store(8, {}, **{"p3701000D": inner}),
                "__attach_version1.0_#00000002": store(8, {}, p3707001F=wide("x.zzz"), p37010102=b"\0\1\2"),
            }
        )
    )
    outer, first, second, third = read_content_documents("a.msg", data)
    assert outer.text is not None
    assert outer.text.startswith(HEAD)
    assert "[attachment not read: unsupported]" in outer.text
    assert first.text == "The order of Judge Abernathy"
    assert second.text == f"{HEAD}\n\nThe inner text"
    assert third.reason is not None
    assert read("a.doc", data).startswith(HEAD)


def test_compressed_rtf() -> None:
    # The example of [MS-OXRTFCP], section 4.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompress_rtf(packed, Limits()) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    for size in range(16, len(packed)):
        decompress_rtf(packed[:size], Limits())  # raises nothing
    for wrong in (packed[:10], packed[:8] + b"XXXX" + packed[12:]):
        with pytest.raises(UnreadableError, match="broken"):
            decompress_rtf(wrong, Limits())
    with pytest.raises(UnreadableError, match="decompression_bomb"):
        decompress_rtf(packed, Limits(max_text_bytes=10))


def test_what_is_refused(refusal: Refusal) -> None:
    secret = store(8, {}, p3707001F=wide("message_v2.rpmsg"), p37010102=b"x")
    data = build_compound_file(message({"__attach_version1.0_#00000000": secret}))
    assert refusal("a.msg", data) == Reason.encrypted
    assert refusal("a.msg", b"text") == Reason.wrong_suffix
    assert refusal("a.msg", build_compound_file({"Else": b"x"})) == Reason.wrong_suffix
    assert refusal("a.msg", build_compound_file(message({}))[:900]) in (Reason.broken, Reason.wrong_suffix)


def damage(data: bytes, text: bytes) -> bytes:
    """Let the chain of the stream that begins with a text lead out of the file."""
    sector = data.index(text) // 512 - 1
    (table,) = struct.unpack_from("<I", data, 76)
    place = (table + 1) * 512 + 4 * sector
    return data[:place] + struct.pack("<I", 0x00FFFFFF) + data[place + 4 :]


def test_what_cannot_be_read_of_a_message_costs_itself() -> None:
    secret = store(8, {}, p3707001F=wide("message.rpmsg"), p37010102=b"x")
    protected = message({"p1000001F": wide("protected"), "__attach_version1.0_#00000000": secret}, 24)
    bad_body = message({"p10090102": b"\0" * 8 + b"XXXX" + b"\0" * 8}, 24)
    tree = message(
        {
            "p1000001F": wide("See below"),
            "__attach_version1.0_#00000000": store(8, {}, **{"p3701000D": protected}),
            "__attach_version1.0_#00000001": store(8, {}, **{"p3701000D": bad_body}),
            "__attach_version1.0_#00000002": store(
                8, {}, p3707001F=wide("a.txt"), p37010102=b"Cut off. " * 1000
            ),
            "__attach_version1.0_#00000003": secret,
            "__attach_version1.0_#00000004": store(8, {}, p3707001F=wide("b.txt"), p37010102=b"Judge Roe"),
        }
    )
    outer, *inner = read_content_documents("a.msg", damage(build_compound_file(tree), b"Cut off. "))
    assert outer.text is not None
    assert "See below" in outer.text
    assert outer.text.count("[attachment not read: encrypted]") == 2
    assert outer.text.count("[attachment not read: broken]") == 1
    assert outer.notes == {Note.unread_attachment: 3}
    assert [str(one.reason) for one in inner] == [
        "encrypted", "None", "broken", "broken", "encrypted", "None",
    ]  # fmt: skip
    assert inner[1].text == f"{HEAD}\n\n[attachment not read: broken]"
    assert inner[-1].text == "Judge Roe"


def test_a_key_that_is_attached_encrypts_nothing(read: Read) -> None:
    key = store(8, {}, p3707001F=wide("public.asc"), p37010102=b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    data = build_compound_file(message({"p1000001F": wide("yes"), "__attach_version1.0_#00000000": key}))
    assert "yes" in read("a.msg", data)


def test_what_a_contact_says_in_its_fields_is_counted() -> None:
    more = {"p001A001F": wide("IPM.Contact"), "p1000001F": wide("met at the fair")}
    outer, fields = read_content_documents("a.msg", build_compound_file(message(more)))
    assert (outer.notes, fields.reason) == ({Note.unread_attachment: 1}, Reason.unsupported)


def test_facts_of_a_message() -> None:
    (reading,) = read_content_documents("a.msg", build_compound_file(message({"p1000001F": wide("yes")})))
    assert reading.fields == {
        "kind": "mail",
        "date": "Sun, 03 May 2020 12:00:00 +0000",
        "title": "Offer in Roe v. Doe",
        "author": "Anna Śmiała <anna@example.org>",
        "parties": "Anna Śmiała <anna@example.org>; Bob Example <bob@example.org>; /o=x",
    }
