"""XML of courts, publishers and anybody else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.documents import read_content_documents

Read = Callable[..., str]
Refusal = Callable[..., Reason]

JUDGMENT = """<?xml version="1.0" encoding="utf-8"?>
<akomaNtoso xmlns="http://docs.oasis-open.org/legaldocml/ns/akn/3.0"><judgment name="judgment">
 <meta><identification><FRBRWork><FRBRdate date="2020-05-03" name="judgment"/></FRBRWork></identification>
  <presentation><style>#main { font-size: 12pt; }</style></presentation></meta>
 <header><p>In the matter of <party refersTo="#a">Marianne Oberholzer</party></p></header>
 <judgmentBody><decision>
  <level><heading>Background</heading>
   <paragraph eId="para_1"><num>1.</num><content><p>
     <span>Mr Gregor </span><span style="x">Lind</span><span>qvist</span> denies
     it.<authorialNote marker="1"><p>See the order of Judge Abernathy.</p></authorialNote> He is right.</p>
   </content></paragraph></level>
  <table><tr><td><p>Costs</p></td><td><p>120</p></td></tr><tr><td/><td>30</td></tr></table>
 </decision></judgmentBody></judgment></akomaNtoso>"""


@pytest.mark.parametrize("name", ["j.xml", "j.akn"])
def test_a_judgment(read: Read, name: str) -> None:
    lines = [line for line in read(name, JUDGMENT.encode()).split("\n") if line]
    assert lines == [
        "In the matter of Marianne Oberholzer",
        "Background",
        "1. Mr Gregor Lindqvist denies it. He is right.",
        "Costs\t120",
        "\t30",
        "See the order of Judge Abernathy.",
    ]


def test_fields_of_a_docket_stand_in_lines_and_names_in_one(read: Read) -> None:
    docket = (
        '<!DOCTYPE docket SYSTEM "docket.dtd"><docket><court>nysd</court>'
        "<case_name>Roe v. Doe &amp; Sons</case_name>"
        "<parties><party><name>Jane Roe</name><type>Plaintiff</type></party>"
        "<person><first_name>John</first_name><last_name>Doe</last_name></person></parties></docket>"
    )
    assert read("d.xml", docket.encode()).split("\n") == [
        "nysd", "Roe v. Doe & Sons", "Jane Roe", "Plaintiff", "John Doe",
    ]  # fmt: skip


def test_emphasis_of_unknown_names_joins_its_line(read: Read) -> None:
    rows = "".join(
        f"<x><y>On day {n} <z>Judge</z> <z>Abernathy</z> ruled.</y><k>{n}</k></x>" for n in range(5)
    )
    lines = read("d.xml", f"<r>{rows}</r>".encode()).split("\n")
    assert lines[:4] == ["On day 0 Judge Abernathy ruled.", "0", "On day 1 Judge Abernathy ruled.", "1"]


def test_entities_are_expanded_if_they_are_the_files_own(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    page = (
        f'<!DOCTYPE a [<!ENTITY who "Judge Abernathy"><!ENTITY file SYSTEM "{secret.as_uri()}">'
        f'<!ENTITY % more SYSTEM "{secret.as_uri()}"> ]>'
        "<a>The order of &who;&nbsp;&ndash;&file; &szlig; &amp;nbsp;</a>"
    )
    assert read("a.xml", page.encode()).replace("\xa0", " ") == "The order of Judge Abernathy – ß &nbsp;"


def test_an_entity_bomb_is_refused(refusal: Refusal) -> None:
    entities = '<!ENTITY a0 "xxxxxxxxxx">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    bomb = f"<!DOCTYPE a [{entities}]><a>&a9;</a>".encode()
    assert refusal("a.xml", bomb) in (Reason.broken, Reason.decompression_bomb)
    small = f"<!DOCTYPE a [{entities}]><a>&a4;</a>".encode()
    assert refusal("a.xml", small, Limits(max_text_bytes=50_000)) == Reason.decompression_bomb


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("windows-1250", "cp1250"),
        ("UTF-16", "utf-16"),
        ("UTF-8", "cp1250"),
        ("x", "utf-8"),
    ],
)
def test_encodings(read: Read, declared: str, encoding: str) -> None:
    word = "Müller, Kläger" if encoding == "latin-1" else "Małgorzata Wiśniewska i Łukasz"
    page = f'<?xml version="1.0" encoding="{declared}"?><a><p>{word}</p></a>'
    assert read("a.xml", page.encode(encoding)) == word


def test_a_page_named_xml_is_read_as_a_page(read: Read) -> None:
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body><p>a<br/>b</p></body></html>'
    assert read("a.xml", page.encode()) == "a\nb"


def test_a_document_of_word_saved_as_xml(read: Read) -> None:
    space = "http://schemas.microsoft.com/office/word/2003/wordml"
    runs = "<w:r><w:t>Judge Aber</w:t></w:r><w:r><w:t>nathy</w:t></w:r>"
    body = f"<w:p>{runs}</w:p><w:p><w:r><w:t>b</w:t></w:r></w:p>"
    page = f'<w:wordDocument xmlns:w="{space}"><w:body>{body}</w:body></w:wordDocument>'
    assert read("a.xml", page.encode()).split() == ["Judge", "Abernathy", "b"]


def test_what_cannot_be_read(refusal: Refusal) -> None:
    assert refusal("a.xml", b"<a>open <b>text</a>") == Reason.broken
    assert refusal("a.xml", b"no markup at all") == Reason.wrong_suffix
    assert refusal("a.xml", b"\x7fELF binary") == Reason.wrong_suffix
    assert refusal("a.xml", b"<a><b x='1'/></a>") == Reason.empty


@pytest.mark.slow
def test_deep_nesting_takes_no_time_and_no_stack(read: Read) -> None:
    assert read("a.xml", b"<a>" * 200_000 + b"x" + b"</a>" * 200_000) == "x"


def test_facts_of_a_judgment_and_of_a_docket() -> None:
    (judgment,) = read_content_documents("j.akn", JUDGMENT.encode())
    assert judgment.fields == {"kind": "judgment", "date": "2020-05-03", "parties": "Marianne Oberholzer"}
    docket = (
        "<docket><court>nysd</court><docket_num>1:17-cv-1</docket_num><case_name>Roe v. Doe</case_name>"
        "<party><name>Jane Roe</name><attorney>X</attorney></party><party><name>John Doe</name></party>"
        "</docket>"
    )
    (reading,) = read_content_documents("d.xml", docket.encode())
    assert reading.fields == {
        "court": "nysd",
        "number": "1:17-cv-1",
        "title": "Roe v. Doe",
        "parties": "Jane Roe; John Doe",
    }


def test_a_document_in_base64_is_a_document_of_its_own() -> None:
    inner = b"{\\rtf1 The order of Judge Abernathy" + b" as it was made" * 40 + b"}"
    prose = "word" * 200  # which base64 could be
    encoded = base64.encodebytes(inner).decode()
    page = f"<filing><name>order.rtf</name><content>{encoded}</content><p>{prose}</p></filing>"
    outer, embedded = read_content_documents("f.xml", page.encode())
    assert outer.text == f"order.rtf\n[attachment]\n{prose}"
    assert embedded.text is not None
    assert embedded.text.startswith("The order of Judge Abernathy")
