from __future__ import annotations

import io
import re
import statistics
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers import (
    Limits,
    Note,
    Reason,
    normalize_text,
    read_content,
    read_content_documents,
    read_document,
    read_documents,
)
from lexveil.nlp.readers.contract import BOMB_FLOOR

GOLD = Path(__file__).parents[4] / "shared/corpora/real_files/docx_judgments"


def w(name: str, *content: str) -> str:
    return f"<w:{name}>{''.join(content)}</w:{name}>"


def t(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def p(*runs: str) -> str:
    return w("p", *runs)


def cell(*content: str) -> str:
    return w("tc", *content)


def row(*cells: str) -> str:
    return w("tr", *cells)


def r(*content: str) -> str:
    return w("r", *content)


TABLE = w("tbl", row(cell(p(t("a"))), cell(p(t("b")), p(t("c")))), row(cell(p()), cell(p(t("d")))))
NESTED = w("tbl", row(cell(p(t("x")), TABLE, p()), cell(p(t("y")))))
BOX = w("txbxContent", p(t("box")))
FALLBACK = f"<mc:Fallback><w:pict><v:textbox>{BOX}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"
CHOICE = "<mc:AlternateContent><mc:Choice Requires='wps'>"
SHAPE = f"<wps:wsp><wps:txbx>{BOX}</wps:txbx></wps:wsp>"
FIELD = (
    r('<w:fldChar w:fldCharType="begin"/>')
    + r(w("instrText", "PAGEREF secret"))
    + r('<w:fldChar w:fldCharType="separate"/>')
    + t("12")
    + r('<w:fldChar w:fldCharType="end"/>')
)
BREAKS = r("<w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t>")
SDT = w("sdt", "<w:sdtPr><w:alias w:val='secret'/></w:sdtPr>", w("sdtContent", p(t("in"))))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (p(t("One ")) + p(t("T"), t("wo")), "One\nTwo"),
        (p(t("before")) + TABLE + p(t("after")), "before\na\tb\nc\n\td\nafter"),
        (NESTED + p(t("after")), "x\na\tb\nc\n\td\ty\nafter"),
        (p(t("kept "), w("ins", t("inserted")), w("moveTo", t(" moved"))), "kept inserted moved"),
        (p(t("kept"), w("del", r(w("delText", "gone")))), "kept"),
        (p(t("kept"), w("del", t("gone")), w("moveFrom", t("gone"))), "kept"),
        (p(w("ins", t("a"), w("del", t("gone")))) + p(t("b")), "a\nb"),
        (w("tbl", row(w("trPr", "<w:del/>"), cell(p(t("gone")))), row(cell(p(t("b"))))), "b"),
        (w("tbl", row(cell(w("tcPr", "<w:cellDel/>"), p(t("gone"))), cell(p(t("b"))))), "\tb"),
        (p(w("pPr", w("rPr", "<w:del/>")), t("Joh")) + p(t("nson")), "Johnson"),
        (p(t("page "), FIELD), "page 12"),
        (p(f'<w:fldSimple w:instr="AUTHOR secret">{t("12")}</w:fldSimple>'), "12"),
        (p(BREAKS), "a\tb\nc-d"),
        (p(r("<w:t>Schmi</w:t><w:softHyphen/><w:t>dt</w:t>")), "Schmidt"),
        (p(w("pPr", w("tabs", '<w:tab w:val="left"/>')), t("x")), "x"),
        (p(r('<w:sym w:font="Arial" w:char="00A7"/><w:t>7</w:t>')), "§7"),
        (p(r(w("rPr", "<w:vanish/>"), w("t", "hidden")), t("seen")), "seen"),
        (p(r(w("rPr", '<w:vanish w:val="0"/>'), w("t", "seen"))), "seen"),
        (p(t("be"), r(CHOICE + SHAPE + "</mc:Choice>" + FALLBACK), t("fore")) + p(t("z")), "before\nbox\nz"),
        (p(t("x"), r(CHOICE + "</mc:Choice>" + FALLBACK)), "x\nbox"),
        (p(w("hyperlink", t("link")), w("smartTag", t(" tag"))), "link tag"),
        (SDT, "in"),
        (p(r(w("ruby", w("rt", t("zhang")), w("rubyBase", t("张"))))), "张"),
        (p("<m:oMath><m:r><m:t>x=1</m:t></m:r></m:oMath>"), "x=1"),
    ],
)
def test_body(read: Callable[..., str], docx: Callable[..., bytes], body: str, text: str) -> None:
    assert read("a.docx", docx(p(t("START")) + body)) == f"START\n{text}"


def test_parts_around_the_body(read: Callable[..., str], docx: Callable[..., bytes]) -> None:
    data = docx(
        p(t("body"), '<w:r><w:footnoteReference w:id="2"/></w:r>', t("!")),
        header1=p(t("head")),
        header2=p(t("head")),
        footer1=p(t("foot")),
        endnotes=f"<w:endnote>{p(t('end'))}</w:endnote>",
        footnotes=f"<w:footnote>{p(t('note'))}</w:footnote>",
        comments=f"<w:comment>{p(t('comment'))}</w:comment>",
    )
    assert read("a.docx", data) == "head\nbody!\nnote\nend\nfoot"


def zipped(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_refused(refusal: Callable[..., Reason], docx: Callable[..., bytes]) -> None:
    sound = docx(p(t("x" * 5000)))
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)
    password = docx(p(t("secret")))
    password = password.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    reasons = {
        Reason.wrong_suffix: [b"plain text", ole, zipped(**{"index.html": b"<html/>"})],
        Reason.encrypted: [ole + "EncryptedPackage".encode("utf-16-le"), password],
        Reason.broken: [sound[:-200], sound[:300], docx("<w:p>"), b"%PDF-1.4"],
        Reason.needs_ocr: [docx(p(), raw={"word/media/image1.png": b"..."})],
        Reason.empty: [docx(p(t(" "))), b""],
        Reason.unsupported: [docx("<w:altChunk/>")],
    }
    assert {r: [refusal("a.docx", data) for data in files] for r, files in reasons.items()} == {
        reason: [reason] * len(files) for reason, files in reasons.items()
    }


def test_entities_are_refused(refusal: Callable[..., Reason], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for dtd in (f'<!ENTITY e SYSTEM "file://{tmp_path}/secret">', '<!ENTITY e "eeeeeeee">'):
        xml = f"<!DOCTYPE d [{dtd}]><w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
        data = zipped(
            **{"word/document.xml": f"{xml}<w:p><w:r><w:t>&e;</w:t></w:r></w:p></w:document>".encode()}
        )
        assert refusal("a.docx", data) is Reason.broken


def test_bombs(refusal: Callable[..., Reason], docx: Callable[..., bytes]) -> None:
    honest = docx("<w:p/>" * (BOMB_FLOOR // 5))
    assert refusal("a.docx", honest) is Reason.decompression_bomb
    assert refusal("a.docx", docx(p(t("x" * 9000))), Limits(max_text_bytes=4000)) is Reason.decompression_bomb
    # A lie about the size: the local header and the directory claim 10 bytes.
    size = zipfile.ZipFile(io.BytesIO(honest)).getinfo("word/document.xml").file_size
    liar = honest.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert refusal("a.docx", liar) in (Reason.broken, Reason.decompression_bomb)


@pytest.mark.slow
def test_recall_of_judgments_against_their_published_xml() -> None:
    """Share of the XML's words, numbers of paragraphs apart, that our text holds as often."""
    if not GOLD.is_dir():
        pytest.skip("../shared/corpora/real_files/docx_judgments is absent")
    recalls: list[float] = []
    for xml in sorted(GOLD.glob("*.xml"))[::3]:
        files = [f for f in GOLD.glob(f"{xml.stem}*.docx") if re.fullmatch(rf"{xml.stem}(-\w+)?", f.stem)]
        gold = Counter(re.findall(r"\w+", _akoma_text(etree.parse(str(xml)).getroot())))
        ours = Counter(re.findall(r"\w+", "\n".join(map(read_document, files))))
        recalls.append((gold & ours).total() / gold.total())
    print(f"median {statistics.median(recalls):.4f}, least {min(recalls):.4f}, n {len(recalls)}")
    assert statistics.median(recalls) >= 0.98
    assert min(recalls) >= 0.95


def _akoma_text(root: etree._Element) -> str:
    pieces: list[str] = []
    akn = "{http://docs.oasis-open.org/legaldocml/ns/akn/3.0}"
    for part in root.iter(f"{akn}header", f"{akn}judgmentBody"):
        for event, element in etree.iterwalk(part, events=("start", "end")):
            name = etree.QName(element).localname
            if event == "start" and name != "num":
                pieces.append(element.text or "")
            elif event == "end" and element is not part:
                pieces.append(element.tail or "")
            if name in ("p", "td", "tr", "block", "heading", "br"):
                pieces.append("\n")
    return "".join(pieces)


STRICT = 'xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def relations(*targets: str) -> bytes:
    items = "".join(f'<Relationship Id="r{i}" {target}/>' for i, target in enumerate(targets))
    return f'<Relationships xmlns="{PACKAGE}">{items}</Relationships>'.encode()


def part(kind: str, target: str, mode: str = "Internal") -> str:
    return f'Type="{OFFICE}/{kind}" Target="{target}" TargetMode="{mode}"'


def word(body: str, namespace: str = "", root: str = "document") -> bytes:
    namespace = namespace or 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return f"<w:{root} {namespace}><w:body>{body}</w:body></w:{root}>".encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (p(t("a")) + p() + p() + p(t("b")), "a\nb"),
        (p(t(" indented")), " indented"),
        (p(t("Smith &amp; Jones &lt;LLP&gt;")), "Smith & Jones <LLP>"),
        (p(t("张三"), t("诉"), t("李四")), "张三诉李四"),
        (p(r("<w:t>page</w:t><w:br w:type='page'/><w:t>two</w:t>")), "page\ntwo"),
        (p(r("<w:cr/><w:t>a</w:t><w:ptab/><w:t>b</w:t>")), "\na\tb"),
        (p(r("<w:sym w:char='F0A7'/>")), "\uf0a7"),
        (p(r("<w:sym w:char='no'/><w:t>x</w:t>")), "\ufffdx"),
        (p(r("<w:sym/><w:t>x</w:t>")), "\ufffdx"),
        (p(r("<w:sym w:char='FFFFFFFF'/><w:t>x</w:t>")), "\ufffdx"),
        (p(r(w("rPr", "<w:vanish w:val='false'/><w:b/>"), w("t", "seen"))), "seen"),
        (p(w("pPr", w("rPr", "<w:vanish/>")), t("seen")), "seen"),
        (p(w("ins", r(w("rPr", "<w:ins/>"), w("t", "inserted")))), "inserted"),
        (p(w("moveFrom", t("old place"))) + p(w("moveTo", t("new place"))), "new place"),
        (p(w("del", w("ins", t("inserted and deleted"))), t("kept")), "kept"),
        (p(t("a"), "<w:commentRangeStart w:id='1'/>", t("b"), r("<w:commentReference w:id='1'/>")), "ab"),
        (p("<w:bookmarkStart w:name='secret'/>", t("a"), "<w:proofErr/>", t("b")), "ab"),
        (p(w("pPr", w("pStyle"), w("numPr", "<w:numId w:val='3'/>")), t("listed")), "listed"),
        (p(w("sdt", w("sdtPr", w("text")), w("sdtContent", t("chosen")))), "chosen"),
        (w("tbl", row(cell(p(t("a")), p(t("b"))), cell(p()), cell(p(t("c"))))), "a\nb\t\tc"),
        (w("tbl", row(cell(p(t("a")))), row(cell(p())), row(cell(p(t("b"))))), "a\nb"),
        (w("customXml", p(t("wrapped"))), "wrapped"),
        ("<!-- a comment --><?instruction x?>" + p(t("a")), "a"),
    ],
)  # fmt: skip
def test_documents_from_the_field(
    read: Callable[..., str], docx: Callable[..., bytes], body: str, text: str
) -> None:
    assert read("a.docx", docx(p(t("START")) + body)) == f"START\n{text}"


def test_the_strict_variant_is_read(read: Callable[..., str]) -> None:
    data = zipped(**{"word/document.xml": word(p(t("strict text")), STRICT)})
    assert read("a.docx", data) == "strict text"


@pytest.mark.parametrize("target", ["/docs/main.xml", "docs/main.xml", "./docs/../docs/main.xml"])
def test_the_main_part_is_where_the_package_says(read: Callable[..., str], target: str) -> None:
    data = zipped(
        **{
            "_rels/.rels": relations(part("officeDocument", target)),
            "docs/main.xml": word(p(t("body"))),
            "docs/_rels/main.xml.rels": relations(part("header", "../shared/head.xml")),
            "shared/head.xml": word(p(t("head")), root="hdr"),
        }
    )
    assert read("a.docx", data) == "head\nbody"


@pytest.mark.parametrize(
    "relation",
    [
        part("header", "file:///etc/passwd"),
        part("header", "../../../../etc/passwd"),
        part("header", "http://example.org/header.xml", "External"),
        part("header", "header9.xml"),
        part("header", ""),
        part("attachedTemplate", "http://example.org/template.dotm", "External"),
        part("hyperlink", "mailto:ann@example.org", "External"),
    ],
)
def test_nothing_outside_of_the_package_is_read(read: Callable[..., str], relation: str) -> None:
    data = zipped(
        **{"word/document.xml": word(p(t("body"))), "word/_rels/document.xml.rels": relations(relation)}
    )
    assert read("a.docx", data) == "body"


def test_parts_that_refer_to_each_other_are_read_once(read: Callable[..., str]) -> None:
    data = zipped(
        **{
            "word/document.xml": word(p(t("body"))),
            "word/_rels/document.xml.rels": relations(
                part("header", "header1.xml"), part("header", "header1.xml")
            ),
            "word/header1.xml": word(p(t("head")), root="hdr"),
            "word/_rels/header1.xml.rels": relations(part("header", "document.xml")),
        }
    )
    assert read("a.docx", data) == "head\nbody"


def test_a_damaged_part_costs_the_document_instead_of_a_piece_of_it(refusal: Callable[..., Reason]) -> None:
    parts = {
        "word/document.xml": word(p(t("body"))),
        "word/_rels/document.xml.rels": relations(part("footnotes", "footnotes.xml")),
        "word/footnotes.xml": b"<w:footnotes xmlns:w='x'><w:p>",
    }
    assert refusal("a.docx", zipped(**parts)) is Reason.wrong_suffix
    parts["word/footnotes.xml"] = word(p(t("note")))[:-20]
    assert refusal("a.docx", zipped(**parts)) is Reason.broken
    assert refusal("a.docx", zipped(**{"word/document.xml": b"\xff\xfe\x00"})) is Reason.broken


@pytest.mark.parametrize("name", ["xl/workbook.xml", "ppt/presentation.xml", "content.xml", "index.html"])
def test_other_zip_files_are_no_word_documents(refusal: Callable[..., Reason], name: str) -> None:
    assert refusal("a.docx", zipped(**{name: b"<x/>"})) is Reason.wrong_suffix


def test_a_part_of_a_spreadsheet_is_no_document(refusal: Callable[..., Reason]) -> None:
    sheet = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
    assert refusal("a.docx", zipped(**{"word/document.xml": sheet})) is Reason.wrong_suffix


@pytest.mark.slow
def test_a_zip_of_a_great_many_entries_is_a_bomb(refusal: Callable[..., Reason]) -> None:
    entries = {f"word/media/{number}.png": b"" for number in range(20_001)}
    assert (
        refusal("a.docx", zipped(**{"word/document.xml": word(p(t("body"))), **entries}))
        is Reason.decompression_bomb
    )


def test_the_budget_is_for_all_parts_together(
    refusal: Callable[..., Reason], docx: Callable[..., bytes]
) -> None:
    long = p(t("x" * 3_000))
    data = docx(long, header1=long, footer1=long, footnotes=long)
    assert refusal("a.docx", data, Limits(max_text_bytes=10_000)) is Reason.decompression_bomb


RUNS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(RUNS, max_size=4), min_size=1, max_size=6))
def test_the_words_of_any_paragraphs_come_back_in_order(
    docx: Callable[..., bytes], paragraphs: list[list[str]]
) -> None:
    body = "".join(p(*(t(escape(run)) for run in runs)) for runs in paragraphs)
    text = read_content("a.docx", docx(p(t("start")) + body))
    expected = normalize_text("start" + "".join(map("".join, paragraphs)))
    assert "".join(text.split()) == "".join(expected.split())


VML = 'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
RELATION = f'xmlns:r="{OFFICE}"'


def test_watermarks_are_text(read: Callable[..., str], docx: Callable[..., bytes]) -> None:
    mark = r(f'<w:pict><v:shape {VML}><v:textpath string="PRIVILEGED"/></v:shape></w:pict>')
    assert read("a.docx", docx(p(mark) + p(t("body")))) == "PRIVILEGED\nbody"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("chunk.html", b"<p>Ann <b>Other</b></p>", "Ann Other"),
        ("chunk.rtf", b"{\\rtf1 Ann Other\\par}", "Ann Other"),
        ("chunk.mht", b"Content-Type: text/html\n\n<p>Ann <b>Other</b></p>", "Ann Other"),
        ("chunk.xyz", b"...", "[embedded document not read: unsupported]"),
        ("chunk.pdf", b"no PDF", "[embedded document not read: wrong_suffix]"),
    ],
)
def test_chunks_of_other_formats_stand_where_the_body_has_them(
    read: Callable[..., str], docx: Callable[..., bytes], name: str, content: bytes, shown: str
) -> None:
    data = docx(
        p(t("before")) + f'<w:altChunk r:id="c" {RELATION}/>' + p(t("after")),
        raw={f"word/{name}": content},
        more_relations=f'<Relationship Id="c" Type="{OFFICE}/aFChunk" Target="{name}"/>',
    )
    assert read("a.docx", data) == f"before\n{shown}\nafter"


def test_embedded_documents_are_read_and_bounded(
    read: Callable[..., str], refusal: Callable[..., Reason], docx: Callable[..., bytes]
) -> None:
    relation = f'<Relationship Id="e" Type="{OFFICE}/package" Target="embeddings/a.docx"/>'
    embedded = p(r(f'<w:object><o:OLEObject {VML} {RELATION} Type="Embed" r:id="e"/></w:object>'))
    data = docx(p(t("Schedule:")))
    for number in range(12):
        body = p(t(f"level {number}")) + embedded
        data = docx(body, raw={"word/embeddings/a.docx": data}, more_relations=relation)
    text = read("a.docx", data)
    assert text.startswith("level 11\n[attachment]\n\nlevel 10\n")
    assert text.endswith("[attachment not read: unsupported]")
    large = docx(embedded, raw={"word/embeddings/a.docx": bytes(9000)}, more_relations=relation)
    assert "[attachment not read: over_size]" in read("a.docx", large, Limits(max_text_bytes=8000))


def test_windows_separators_and_other_names(read: Callable[..., str], docx: Callable[..., bytes]) -> None:
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx(p(t("body"))))) as old, zipfile.ZipFile(renamed, "w") as new:
        for entry in old.infolist():
            info = zipfile.ZipInfo(entry.filename)
            info.filename = entry.filename.replace("/", "\\")
            new.writestr(info, old.read(entry))
    for name in ("a.docx", "a.docm", "a.doc", "a.rtf"):
        assert read(name, renamed.getvalue()) == "body"


def test_a_doc_is_what_it_contains(read: Callable[..., str], refusal: Callable[..., Reason]) -> None:
    assert read("a.doc", b"<!DOCTYPE HTML><html><body><p>Ann Other") == "Ann Other"
    assert read("a.doc", b"{\\rtf1 Ann Other}") == "Ann Other"
    assert refusal("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)) is Reason.broken


def test_values_of_old_forms_are_text(read: Callable[..., str], docx: Callable[..., bytes]) -> None:
    def field(data: str) -> str:
        return p(
            t("Court: ") + r(f'<w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar>')
        )

    entries = "".join(f'<w:listEntry w:val="{name}"/>' for name in ("Bern", "Basel", "Chur"))
    chosen = field(f'<w:ddList><w:result w:val="1"/><w:default w:val="2"/>{entries}</w:ddList>')
    untouched = field(f'<w:ddList><w:default w:val="2"/>{entries}</w:ddList>')
    first, wrong = (
        field(f"<w:ddList>{entries}</w:ddList>"),
        field('<w:ddList><w:result w:val="9"/></w:ddList>'),
    )
    boxes = [
        field(f"<w:checkBox>{inside}</w:checkBox>")
        for inside in (
            "<w:checked/>",
            '<w:default w:val="0"/>',
            '<w:default w:val="1"/><w:checked w:val="0"/>',
        )
    ]
    text = read("a.docx", docx(chosen + untouched + first + wrong + "".join(boxes)))
    assert [line.removeprefix("Court:").strip() for line in text.split("\n")] == [
        "Basel", "Chur", "Bern", "", "\u2612", "\u2610", "\u2610",
    ]  # fmt: skip


def test_pictures_are_counted(tmp_path: Path, docx: Callable[..., bytes]) -> None:
    relations = "".join(
        f'<Relationship Id="p{n}" Type="{OFFICE}/image" Target="media/{n % 2}.png"/>' for n in range(3)
    )
    media = {f"word/media/{n}.png": b"?" for n in range(2)}
    (tmp_path / "a.docx").write_bytes(docx(p(t("Words.")), raw=media, more_relations=relations))
    (reading,) = read_documents(tmp_path / "a.docx")
    assert reading.notes == {Note.unread_picture: 2}


def test_headings_have_blank_lines_around_them(read: Callable[..., str], docx: Callable[..., bytes]) -> None:
    """By their style, by that which it is based on, or by their own level; not by what they were before."""

    def style(name: str, more: str) -> str:
        return f'<w:style w:styleId="{name}"><w:name w:val="{name}"/>{more}</w:style>'

    styles = (
        style("Top", '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>')
        + style("Own", '<w:basedOn w:val="Top"/>')
        + style("Plain", '<w:basedOn w:val="Own"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr>')
        + style("Title", "")
        + style("Loop", '<w:basedOn w:val="Loop"/>')
    )

    def paragraph(text: str, *properties: str) -> str:
        return f"<w:p><w:pPr>{''.join(properties)}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"

    def named(name: str) -> str:
        return f'<w:pStyle w:val="{name}"/>'

    body = (
        paragraph("Judgment", named("Title")) + paragraph("one") + paragraph("Facts", named("Own"))
        + paragraph("two", named("Plain")) + paragraph("three", named("Loop"))
        + paragraph("Reasons", '<w:outlineLvl w:val="1"/>')
        + paragraph("four", f"<w:pPrChange><w:pPr>{named('Top')}</w:pPr></w:pPrChange>")
        + f"<w:tbl><w:tr><w:tc>{paragraph('Cell', named('Top'))}</w:tc>"
        + f"<w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"
    )  # fmt: skip
    text = "Judgment\n\none\n\nFacts\n\ntwo\nthree\n\nReasons\n\nfour\nCell\tb"
    assert read("a.docx", docx(body, styles=styles)) == text
    assert "Facts" in read("a.docx", docx(body, styles="<w:broken>"))


def test_what_a_document_refers_to_and_lacks_costs_itself(docx: Callable[..., bytes]) -> None:
    """A chunk, an object and a link that lead nowhere; before, the whole document was refused for one."""
    ole = (
        '<w:p><w:r><w:object><o:OLEObject xmlns:o="urn:schemas-microsoft-com:office:office" {}/></w:object>'
        "</w:r></w:p>"
    )
    identifier = f"{RELATION} r:id"
    body = (
        "<w:p><w:r><w:t>The order</w:t></w:r></w:p>"
        f'<w:altChunk {identifier}="gone"/><w:altChunk {identifier}="chunk"/>'
        + ole.format(f'Type="Embed" {identifier}="lost"')
        + ole.format(f'Type="Link" {identifier}="link"')
        + f'<w:subDoc {identifier}="sub"/>'
    )
    relation = '<Relationship Id="{}" Type="x/{}" Target="{}"/>'
    related = [
        ("chunk", "aFChunk", "c.dat"),
        ("link", "oleObject", "file:///c:/a.xlsx"),
        ("sub", "subDocument", "s.txt"),
    ]
    data = docx(
        body,
        more_relations="".join(relation.format(*one) for one in related),
        raw={"word/c.dat": b"<html><body>A page</body></html>", "word/s.txt": b"The next chapter"},
    )
    outer, *inner = read_content_documents("a.docx", data)
    assert str(outer.text).split("\n") == [
        "The order", "[embedded document not read: unsupported]", "A page",
        "[attachment not read: inaccessible]", "[attachment not read: inaccessible]", "[attachment]",
    ]  # fmt: skip
    assert outer.notes == {Note.unread_attachment: 3}
    assert [one.text or one.reason for one in inner] == [
        Reason.inaccessible, Reason.inaccessible, "The next chapter",
    ]  # fmt: skip


def test_hidden_runs_are_counted(docx: Callable[..., bytes]) -> None:
    """By their own property, or by that of their style or of one that it is based on."""

    def run(text: str, properties: str = "") -> str:
        return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"

    styles = (
        '<w:style w:styleId="Hidden"><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:styleId="Own"><w:basedOn w:val="Hidden"/></w:style>'
        '<w:style w:styleId="Seen"><w:basedOn w:val="Hidden"/><w:rPr><w:vanish w:val="0"/></w:rPr></w:style>'
    )
    body = (
        run("seen ") + run("secret", "<w:vanish/>") + run("too ", '<w:vanish w:val="false"/>')
        + run("secret", '<w:rStyle w:val="Own"/>') + run("here", '<w:rStyle w:val="Seen"/>')
        + "<w:r><w:rPr><w:vanish/></w:rPr><w:tab/></w:r>"
    )  # fmt: skip
    (reading,) = read_content_documents("a.docx", docx(f"<w:p>{body}</w:p>", styles=styles))
    assert (reading.text, reading.notes) == ("seen too here", {Note.hidden_text: 2})
