"""Exports: what they say, under which names, and that nothing masked is in them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import docx
import pyarrow.parquet as pq
import pytest
from docx.shared import RGBColor

from lexveil.nlp.masking.mask import Replacement
from lexveil.nlp.readers import read_document
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.export.documents import (
    COLUMNS,
    FileNames,
    MaskedDocument,
    iter_masked,
    mask_name,
    read_original,
)
from lexveil.pipeline.export.docx import redact_docx
from lexveil.pipeline.export.export import KINDS, export_documents
from lexveil.pipeline.export.pdf import redact_pdf
from lexveil.pipeline.export.redaction import Redaction
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace

LETTER = (
    "Dear Mr Gregor Lindqvist,\n\nour client, Ms Marianne Oberholzer, born on 3 May 1961, of 12 Elm Street, "
    "Springfield, asks for the deposit. Please write to marianne.oberholzer@example.org \U0001f600.\n\n"
    "Mr Lindqvist may answer by 4 June 2020."
)


def make_docx(path: Path) -> None:
    """An order with formatting inside of names, a table, a header, and what nobody reads."""
    made = docx.Document()
    made.core_properties.author, made.core_properties.title = "Marianne Oberholzer", "Oberholzer v Lindqvist"
    made.sections[0].header.paragraphs[0].text = "In the matter of Marianne Oberholzer"
    line = made.add_paragraph("The claimant, Ms Marianne ")
    bold = line.add_run("Ober")
    bold.bold = True
    bold.font.color.rgb = RGBColor(255, 0, 0)
    line.add_run("holzer, born on 3 May 1961, sues Mr Gregor Lindqvist.")
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Claimant: Ms Marianne Oberholzer", "Costs: 120"
    hidden = made.add_paragraph("The order stands.").add_run("Known to Marianne Oberholzer as well.")
    hidden.font.hidden = True
    picture = io.BytesIO()
    from PIL import Image

    Image.new("RGB", (40, 20), "red").save(picture, "PNG")
    picture.seek(0)
    made.add_picture(picture)
    made.add_comment(hidden, text="Ask Marianne Oberholzer", author="Gregor Lindqvist")
    link = made.part.relate_to(
        "mailto:marianne.oberholzer@example.org",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink",
        is_external=True,
    )
    assert link
    made.save(str(path))


def make_pdf(path: Path) -> None:
    """A notice with a name divided at a line end, one in a form object, and what nobody reads."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=(595, 842), invariant=1)
    canvas.setAuthor("Marianne Oberholzer")
    canvas.beginForm("stamp")
    canvas.drawString(60, 800, "Filed by Ms Marianne Oberholzer on 3 May 1961")
    canvas.endForm()
    canvas.doForm("stamp")
    canvas.setFont("Times-Roman", 12)
    lines = [
        "NOTICE OF APPEAL", "The claimant, Ms Marianne Oberholzer, appeals against the order.",
        "The respondent is Mr Gregor Lindqvist. The court has heard that Ms Marianne Ober-",
        "holzer asks for the deposit of 120 euros, and that Mr Gregor Lindqvist denies it.",
    ]  # fmt: skip
    for number, line in enumerate(lines):
        canvas.drawString(60, 760 - 20 * number, line)
    canvas.rect(50, 600, 400, 20)
    canvas.drawImage(ImageReader(Image.new("RGB", (40, 20), "red")), 60, 500)
    canvas.bookmarkPage("a")
    canvas.addOutlineEntry("Appeal of Oberholzer", "a")
    canvas.linkURL("mailto:marianne.oberholzer@example.org", (60, 700, 90, 720))
    canvas.showPage()
    canvas.drawString(60, 760, "Second page, which names nobody and stays as it is.")
    canvas.save()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export") / "in"
    root.mkdir()
    (root / "Oberholzer_v_Lindqvist.txt").write_text(LETTER, encoding="utf-8")
    make_docx(root / "order Oberholzer.docx")
    make_pdf(root / "notice Oberholzer.pdf")
    rows = [
        {"id": "a/../7", "text": "Ms Marianne Oberholzer sues.", "label": "tenancy", "split": "test"},
        {"id": "a/../7", "text": "Mr Gregor Lindqvist answers: =1+1.", "label": None},
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def workspace(folder: Path) -> Workspace:
    settings = Settings.model_validate({"ingest": {"id_field": "id", "split_field": "split"}})
    made = Workspace.create_or_open(folder.parent / "workspace").with_settings(settings)
    ingest(made, [folder])
    mask(made)
    return made


@pytest.fixture(scope="module")
def documents(workspace: Workspace) -> list[MaskedDocument]:
    return list(iter_masked(workspace))


PERSONAL = re.compile(r"Marianne|Oberholzer|Lindqvist|1961|Elm Street", re.IGNORECASE)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_masked_is_in_any_export(
    workspace: Workspace, folder: Path, documents: list[MaskedDocument], tmp_path: Path, kind: str
) -> None:
    assert len(documents) == 5
    target = tmp_path / "out"
    counts = export_documents(workspace, target, kind, COLUMNS, originals=folder)
    assert counts["documents"] == (1 if kind in ("docx", "pdf") else 5)
    assert stat.S_IMODE(target.stat().st_mode) == (0o700 if target.is_dir() else 0o600)
    files = [path for path in target.rglob("*") if path.is_file()] if target.is_dir() else [target]
    for path in files:
        assert not PERSONAL.search(path.name)
        content = path.read_bytes()
        if path.suffix == ".docx":
            with zipfile.ZipFile(path) as archive:
                content = b"\n".join(map(archive.read, archive.namelist()))
        if path.suffix == ".pdf":
            streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
            content += b"".join(zlib.decompress(one) for one in streams if one[:1] == b"x")
        assert not PERSONAL.search(content.decode("utf-8", "replace"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_texts_have_their_own_names(
    workspace: Workspace, documents: list[MaskedDocument], tmp_path: Path
) -> None:
    export_documents(workspace, tmp_path / "out", "txt")
    texts = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()}
    assert set(texts) == {
        "masked_v_masked.txt", "order masked.docx.txt", "notice masked.pdf.txt", "a_.._7.txt", "a_.._7-2.txt",
    }  # fmt: skip
    assert sorted(texts.values()) == sorted(document.text for document in documents)


def test_tables_have_the_columns_that_are_named(
    workspace: Workspace, documents: list[MaskedDocument], tmp_path: Path
) -> None:
    texts = {document.doc_id: document.text for document in documents}
    for kind in ("jsonl", "csv", "parquet", "hf"):
        export_documents(workspace, tmp_path / kind, kind)
    rows = [json.loads(line) for line in (tmp_path / "jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(row) for row in rows] == [["doc_id", "text", "label", "split"]] * 5
    assert {row["doc_id"]: row["text"] for row in rows} == texts
    with (tmp_path / "csv").open(encoding="utf-8", newline="") as table:
        assert {row["doc_id"]: row["text"] for row in csv.DictReader(table)} == texts
    assert pq.read_table(tmp_path / "parquet").to_pylist() == rows
    card = (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"split: (\w+)\n    path: (\S+)", card))
    loaded = {split: pq.read_table(tmp_path / "hf" / path).to_pylist() for split, path in parts.items()}
    assert {split: len(rows) for split, rows in loaded.items()} == {"test": 1, "train": 4}
    assert sorted(row["doc_id"] for some in loaded.values() for row in some) == sorted(texts)
    export_documents(workspace, tmp_path / "chosen", "parquet", ["name", "spans"])
    chosen = pq.read_table(tmp_path / "chosen").to_pylist()
    assert [set(row) for row in chosen] == [{"name", "spans"}] * 5


def test_annotations_mark_what_stands_for_whom(
    workspace: Workspace, documents: list[MaskedDocument], tmp_path: Path
) -> None:
    import spacy
    from spacy.tokens import DocBin

    export_documents(workspace, tmp_path / "bins", "docbin")
    export_documents(workspace, tmp_path / "tasks.json", "label-studio")
    masks = {
        document.doc_id: [(document.text[one.start : one.end], one.type) for one in document.replacements]
        for document in documents
    }
    vocabulary = spacy.blank("xx").vocab
    for made in DocBin().from_disk(tmp_path / "bins" / "00000.spacy").get_docs(vocabulary):
        found = [(entity.text, entity.label_) for entity in made.ents]
        assert found == masks[made.user_data["doc_id"]]
    tasks: list[dict[str, Any]] = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        units = task["data"]["text"].encode("utf-16-le")
        values = [one["value"] for one in task["predictions"][0]["result"]]
        texts = [units[2 * value["start"] : 2 * value["end"]].decode("utf-16-le") for value in values]
        assert [(text, value["labels"][0]) for text, value in zip(texts, values, strict=True)] == masks[
            task["data"]["doc_id"]
        ]


def test_a_docx_keeps_its_formatting_and_reads_as_the_masked_text(
    workspace: Workspace, folder: Path, documents: list[MaskedDocument], tmp_path: Path
) -> None:
    counts = export_documents(workspace, tmp_path / "out", "docx", originals=folder)
    assert counts == {"documents": 1, "no_original": 4}
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "order masked.docx"
    (document,) = (one for one in documents if one.source_id.endswith(".docx"))
    assert read_document(path) == document.text
    opened = docx.Document(str(path))
    line = next(one for one in opened.paragraphs if "claimant" in one.text)
    assert line.runs[0].text.startswith("The claimant, ")
    assert line.runs[1].bold
    assert opened.tables[0].cell(0, 1).text == "Costs: 120"
    assert len(opened.inline_shapes) == 0


def make_hostile_docx(path: Path, secret: str) -> None:
    """An order that says one thing, and another where no reader looks."""
    made = docx.Document()
    made.add_heading("Order", 1)
    made.add_paragraph("Ms Marianne Oberholzer appeals.", style="List Number")
    made.styles.add_style(f"{secret} style", 1)
    made.add_paragraph("The order stands.", style=f"{secret} style")
    made.core_properties.author = made.core_properties.title = secret
    made.add_comment(made.paragraphs[0].runs[0], text=secret, author=secret)
    plain = io.BytesIO()
    made.save(plain)
    run = f"<w:r><w:t>{secret}</w:t></w:r>"
    inserted = (
        f"<w:tbl><w:tr><w:trPr><w:del w:author='{secret}'/></w:trPr><w:tc><w:p>{run}</w:p></w:tc></w:tr>"
        f"<w:tr><w:tc><w:tcPr><w:cellDel/></w:tcPr><w:p>{run}</w:p></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>"
        f"<w:p><w:del>{run}</w:del><w:moveFrom>{run}</w:moveFrom><w:r><w:rPr><w:vanish/></w:rPr><w:t>{secret}</w:t>"
        f"</w:r><w:r><w:ruby><w:rt>{run}</w:rt><w:rubyBase><w:r><w:t>court</w:t></w:r></w:rubyBase></w:ruby></w:r>"
        f"<w:r><w:fldChar w:fldCharType='begin'><w:fldData>{secret}</w:fldData></w:fldChar>"
        f"<w:instrText>{secret}</w:instrText><w:fldChar w:fldCharType='end'/></w:r>"
        f"<w:fldSimple w:instr='AUTHOR {secret}'><w:r><w:t>appeals</w:t></w:r></w:fldSimple>"
        f"<w:permStart w:id='1' w:ed='{secret}'/><w:permEnd w:id='1'/><!-- {secret} --><?{secret} x?>"
        f"<w:bookmarkStart w:id='7' w:name='_{secret}'/><w:bookmarkEnd w:id='7'/>"
        f"<w:hyperlink w:anchor='{secret}' w:tooltip='{secret}'><w:r><w:t>order</w:t></w:r></w:hyperlink>"
        f"<w:ins w:author='{secret}' w:id='9'><w:r><w:rPr><w:rFonts w:ascii='{secret}'/></w:rPr>"
        "<w:t>stands</w:t></w:r>"
        f"</w:ins><w:r><w:pict><w:binData w:name='x'>{secret}</w:binData>"
        "<v:shape xmlns:v='urn:schemas-microsoft-com:vml' xmlns:o='urn:schemas-microsoft-com:office:office'"
        f" o:gfxdata='{secret}' alt='{secret}'/></w:pict></w:r>"
        f"<w:sdt><w:sdtPr><w:alias w:val='{secret}'/></w:sdtPr><w:sdtContent/></w:sdt></w:p>"
    )
    extra = {
        "word/header9.xml": f"<w:hdr xmlns:w='{NAMESPACE}'><w:p>{run}</w:p></w:hdr>",
        "word/people.xml": f"<a>{secret}</a>", "docProps/custom.xml": f"<a>{secret}</a>",
        "customXml/item9.xml": f"<a>{secret}</a>", "docProps/thumbnail.png": secret,
        f"word/media/{secret}.png": secret, "word/embeddings/a.bin": secret,
    }  # fmt: skip
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "word/document.xml":
                content = content.replace(b"<w:sectPr", inserted.encode() + b"<w:sectPr", 1)
            if name == "word/numbering.xml":
                content = content.replace(b'w:lvlText w:val="', f'w:lvlText w:val="{secret} '.encode())
            target.writestr(name, content)
        for name, text in extra.items():
            target.writestr(name, text)


NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def test_what_no_reader_sees_is_not_in_a_docx(tmp_path: Path) -> None:
    path, out = tmp_path / "hostile.docx", tmp_path / "out.docx"
    make_hostile_docx(path, SECRET)
    text = read_document(path)
    assert SECRET not in text
    redaction = make_redaction(text, {"Marianne Oberholzer": "[PERSON_1]"})
    written = redact_docx(path.read_bytes(), redaction)
    assert written is not None
    out.write_bytes(written)
    with zipfile.ZipFile(out) as archive:
        for name in archive.namelist():
            assert re.fullmatch(r"[\w/]*(?:\[Content_Types\])?[a-z]*\d*(?:\.xml)?\.(?:xml|rels)", name)
            assert not re.search(rf"{SECRET}|Oberholzer", archive.read(name).decode(), re.IGNORECASE)
    opened = docx.Document(str(out))
    assert [one.style.name for one in opened.paragraphs[:2] if one.style] == ["Heading 1", "List Number"]
    assert read_document(out) == redaction.masked


def test_a_docx_with_words_that_masking_never_saw_is_not_written(tmp_path: Path) -> None:
    make_hostile_docx(tmp_path / "a.docx", SECRET)
    text = read_document(tmp_path / "a.docx")
    other = docx.Document(str(tmp_path / "a.docx"))
    other.add_paragraph("Zebulon")
    other.save(str(tmp_path / "b.docx"))
    redaction = make_redaction(text, {"Marianne Oberholzer": "[PERSON_1]"})
    assert redact_docx((tmp_path / "a.docx").read_bytes(), redaction) is not None
    assert redact_docx((tmp_path / "b.docx").read_bytes(), redaction) is None


def test_of_a_pdf_the_text_is_removed_and_the_rest_stays(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    import pypdfium2

    counts = export_documents(workspace, tmp_path / "out", "pdf", originals=folder)
    assert counts == {"documents": 1, "no_original": 4}
    (path,) = (tmp_path / "out").iterdir()
    text = read_document(path)
    assert not PERSONAL.search(text)
    for piece in (
        "Filed by Ms [PERSON_", "NOTICE OF APPEAL", "appeals against the order.", "asks for the deposit of",
        "and that Mr [PERSON_", " denies it.", "Second page, which names nobody and stays as it is.",
    ):  # fmt: skip
        assert piece in text
    with pypdfium2.PdfDocument(path) as opened:
        assert len(opened) == 2
        assert [*opened.get_toc()] == []
        assert opened.get_metadata_dict(skip_empty=True).get("Author") is None
        kinds = [pypdfium2.raw.FPDFPageObj_GetType(one) for one in opened[0].get_objects()]
        assert pypdfium2.raw.FPDF_PAGEOBJ_PATH in kinds
        assert pypdfium2.raw.FPDF_PAGEOBJ_IMAGE not in kinds


def test_a_pdf_of_pictures_is_not_written(
    workspace: Workspace, tmp_path: Path, documents: list[MaskedDocument]
) -> None:
    from PIL import Image

    Image.new("RGB", (400, 200), "white").save(tmp_path / "scan.pdf")
    (document,) = (one for one in documents if one.source_id.endswith(".pdf"))
    redaction = Redaction(read_original(workspace, document), document.text, document.replacements)
    assert redact_pdf((tmp_path / "scan.pdf").read_bytes(), redaction) is None


def test_a_changed_original_is_not_taken(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "originals").mkdir()
    made = docx.Document(str(folder / "order Oberholzer.docx"))
    made.add_paragraph("More of Marianne Oberholzer.")
    made.save(str(tmp_path / "originals" / "order Oberholzer.docx"))
    counts = export_documents(workspace, tmp_path / "out", "docx", originals=tmp_path / "originals")
    assert counts == {"documents": 0, "no_original": 5}


def test_what_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    for arguments in (
        ("there", "jsonl"), ("new", "odt"), ("new", "docx"), ("absent/new", "txt"),
    ):  # fmt: skip
        with pytest.raises(SourceError):
            export_documents(workspace, tmp_path / arguments[0], arguments[1])
    with pytest.raises(SourceError, match="column"):
        export_documents(workspace, tmp_path / "new", "csv", ["text", "original"])
    with pytest.raises(SourceError, match="folder"):
        export_documents(workspace, tmp_path / "there", "txt", overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
    export_documents(workspace, tmp_path / "there", "jsonl", overwrite=True)
    assert (tmp_path / "there").read_text().count("\n") == 5


def test_names_are_safe_and_given_once() -> None:
    names = FileNames()
    given = [
        names.give(name, ".txt") for name in ("a.txt", "A.TXT", "../a", "x" * 300, "\0", "con/.", "b.docx")
    ]
    assert given == ["a.txt", "A-2.txt", "_a.txt", f"{'x' * 200}.txt", "_.txt", "con_.txt", "b.docx.txt"]
    assert mask_name("nothing.txt", ()) == "nothing.txt"
    assert len(names.give("\u738b" * 300, ".docx").encode()) <= 255


@pytest.mark.parametrize("is_apart", [False, True])
def test_a_name_is_masked_however_its_accents_are_written(is_apart: bool) -> None:
    person = unicodedata.normalize("NFC" if is_apart else "NFD", "Zo\u00eb M\u00fcller")
    name = unicodedata.normalize("NFD" if is_apart else "NFC", person)
    _, found = mask_names(person, {person: "[PERSON_1]"})
    assert mask_name(f"letter of {name}.txt", found) == "letter of masked.txt"
    assert mask_name(f"{name.split()[1]}.txt", found) == "masked.txt"


def test_only_an_export_is_replaced(
    workspace: Workspace, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "work" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (tmp_path / "link").symlink_to(workspace.root)
    before = sorted(folder.parent.rglob("*"))
    for target in (
        Path(), Path(".."), inner.parent, workspace.root, workspace.root.parent, workspace.root / "masked",
        folder, folder / "order Oberholzer.docx", tmp_path / "link", Path("/"),
    ):  # fmt: skip
        with pytest.raises(SourceError, match="name another place"):
            export_documents(workspace, target, "docx", originals=folder, overwrite=True)
    assert sorted(folder.parent.rglob("*")) == before
    (inner / "out").mkdir()
    (inner / "out" / "old").write_text("old")
    export_documents(workspace, Path("out"), "docx", originals=folder, overwrite=True)
    assert [path.name for path in inner.iterdir()] == ["out"]
    assert [path.name for path in (inner / "out").iterdir()] == ["order masked.docx"]


def test_an_original_that_cannot_be_read_is_none(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    originals = tmp_path / "originals"
    shutil.copytree(folder, originals)
    (originals / "loop.docx").symlink_to(originals / "loop.docx")
    (originals / "a.docx").write_bytes(b"PK broken")
    counts = export_documents(workspace, tmp_path / "out", "docx", originals=originals)
    assert counts["documents"] == 1


def test_in_scripts_without_spaces_a_name_has_no_edges() -> None:
    text, masked = "原告张三丰诉被告李四。", "原告[PERSON_1]诉被告李四。"
    found = Replacement(2, 12, "张三丰", "[PERSON_1]", "PERSON", 1, "token", "", 2, 5, 1.0, "x")
    redaction = Redaction(text, masked, [found])
    assert redaction.leaks(text)
    assert not redaction.leaks(masked)
    assert [(edit.start, edit.text) for edit in redaction.search("住所\n张三\n丰在", divided=True)] == [
        (3, "[PERSON_1]")
    ]


SECRET = "Zebulon"


def make_layered_pdf(secret: str) -> bytes:
    """A page that says one thing, and says another where no reader looks."""
    shown = "BT /F1 12 Tf 60 700 Td (Ms Marianne Oberholzer appeals against this order.) Tj ET\n"
    content = (
        f"{shown}1 1 1 rg BT /F1 12 Tf 60 600 Td ({secret} white) Tj ET\n"
        f"0 0 0 rg BT /F1 12 Tf 60 500 Td ({secret} covered) Tj ET 0 0 0 rg 50 490 300 30 re f\n"
        f"BT /F1 12 Tf 60 2000 Td ({secret} outside) Tj ET\n"
        f"/OC /L1 BDC BT /F1 12 Tf 60 400 Td ({secret} layer) Tj ET 10 10 40 40 re S EMC\n"
        f"3 Tr BT /F1 12 Tf 60 300 Td ({secret} invisible) Tj ET 0 Tr\n"
        f"/Span <</Lang (en) /E ({secret})>> BDC BT /F1 12 Tf 60 200 Td (The order stands.) Tj ET EMC\n"
        "100 100 m 120 150 160 90 200 100 c S 40 40 m 400 40 l S\n"
    )
    objects = [
        "<</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[6 0 R]/D<</OFF[6 0 R]>>>>/Metadata 7 0 R"
        "/Outlines 8 0 R/Names<</EmbeddedFiles<</Names[(annex.txt) 7 0 R]>>>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Metadata 7 0 R/Thumb 7 0 R"
        "/PieceInfo<</Editor<</Private 7 0 R>>>>/Annots[10 0 R]"
        "/Resources<</Font<</F1 5 0 R>>/Properties<</L1 6 0 R>>>>>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        f"<</Type/OCG/Name({secret} strategy)>>",
        f"<</Type/Metadata/Subtype/XML/Length {len(secret)}>>stream\n{secret}\nendstream",
        "<</Type/Outlines/First 9 0 R/Last 9 0 R/Count 1>>",
        f"<</Title({secret})/Parent 8 0 R/Dest[3 0 R/Fit]>>",
        f"<</Type/Annot/Subtype/Text/F 2/Rect[0 0 9 9]/Contents({secret})/T({secret})>>",
    ]
    body = "%PDF-1.7\n"
    places: list[int] = []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer\n<</Size {size}/Root 1 0 R/Info<</Author({secret})>>>>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def redact_by_names(data: bytes, original: str, masks: dict[str, str]) -> bytes | None:
    """Redact a PDF as if masking had found names in its text."""
    return redact_pdf(data, make_redaction(original, masks))


def make_redaction(original: str, masks: dict[str, str]) -> Redaction:
    masked, found = mask_names(original, masks)
    return Redaction(original, masked, found)


def mask_names(original: str, masks: dict[str, str]) -> tuple[str, list[Replacement]]:
    masked, found = original, list[Replacement]()
    for number, (name, mask_) in enumerate(masks.items(), 1):
        place = original.index(name)
        start = masked.index(name)
        masked = masked.replace(name, mask_, 1)
        found.append(
            Replacement(
                start, start + len(mask_), name, mask_, "PERSON", number, "token", "", place,
                place + len(name), 1.0, "x",
            )
        )  # fmt: skip
    return masked, found


def test_what_no_reader_sees_is_not_in_a_pdf(tmp_path: Path) -> None:
    import pypdfium2

    path = tmp_path / "layers.pdf"
    path.write_bytes(make_layered_pdf(SECRET))
    text = read_document(path)
    assert SECRET not in text
    written = redact_by_names(path.read_bytes(), text, {"Marianne Oberholzer": "[PERSON_1]"})
    assert written is not None
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", written, re.DOTALL)
    everything = written + b"".join(zlib.decompress(one) for one in streams if one[:1] == b"x")
    for secret in (SECRET, "Oberholzer", "strategy", "Span", "PieceInfo", "Thumb", "Metadata", "/OC"):
        assert secret.encode() not in everything
    with pypdfium2.PdfDocument(written) as opened:
        shown = opened[0].get_textpage().get_text_range()
        kinds = [pypdfium2.raw.FPDFPageObj_GetType(one) for one in opened[0].get_objects()]
    assert "Ms [PERSON_1] appeals against this order." in " ".join(shown.split())
    assert "The order stands." in shown
    assert kinds.count(pypdfium2.raw.FPDF_PAGEOBJ_PATH) == 2  # the box and the line; no curve, nothing off


def test_a_pdf_with_words_that_masking_never_saw_is_not_written() -> None:
    """Whatever the reader left out for whatever reason: the check knows nothing of the reasons."""
    original = "Ms Marianne Oberholzer appeals against this order. The order stands."
    seen = make_layered_pdf("stands")
    assert redact_by_names(seen, original, {"Marianne Oberholzer": "[PERSON_1]"}) is not None
    unseen = seen.replace(b"(The order stands.)", b"(The Zebulon stands)")
    assert redact_by_names(unseen, original, {"Marianne Oberholzer": "[PERSON_1]"}) is None
    # What the reader takes for the text of glyphs that show another one.
    spoken = unseen.replace(b"/Lang (en) /E (stands)", b"/ActualText (order)   ")
    assert b"ActualText" in spoken
    assert redact_by_names(spoken, original, {"Marianne Oberholzer": "[PERSON_1]"}) is None


def test_what_was_masked_must_be_known_and_long_enough_to_be_looked_for() -> None:
    assert make_redaction("Ms Oberholzer appeals.", {"Oberholzer": "[PERSON_1]"}).is_sure
    assert not make_redaction("Ms X appeals.", {"X": "[PERSON_1]"}).is_sure
    assert not Redaction("Ms Oberholzer appeals.", "Ms [PERSON_1] appeals.", ()).is_sure
    assert Redaction("The order stands.", "The order stands.", ()).is_sure


@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_without_its_row_of_the_vault_no_file_is_written(folder: Path, tmp_path: Path, kind: str) -> None:
    """The masked text tells that something was masked; nothing tells what."""
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    ingest(workspace, [folder])
    mask(workspace)
    for path in workspace.vault.rglob("*.parquet"):
        rows = pq.read_table(path)
        pq.write_table(rows.slice(0, 0), path)
    counts = export_documents(workspace, tmp_path / "out", kind, originals=folder)
    assert counts == {"documents": 0, "no_original": 4, "not_redacted": 1}
    assert list((tmp_path / "out").iterdir()) == []
    export_documents(workspace, tmp_path / "texts", "txt")
    assert not [path for path in (tmp_path / "texts").iterdir() if PERSONAL.search(path.name)]


def test_a_file_that_takes_too_much_to_rewrite_costs_itself(folder: Path, tmp_path: Path) -> None:
    """It was rewritten in the process that holds the keys, without limits."""
    (tmp_path / "in").mkdir()
    made = docx.Document()
    made.add_paragraph("Ms Marianne Oberholzer appeals.")
    made.save(str(tmp_path / "plain.docx"))
    with (
        zipfile.ZipFile(tmp_path / "plain.docx") as source,
        zipfile.ZipFile(tmp_path / "in" / "large.docx", "w", zipfile.ZIP_STORED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "word/document.xml":
                content = content.replace(b"<w:sectPr", b"<w:p/>" * 150_000 + b"<w:sectPr", 1)
            target.writestr(name, content)
    shutil.copy(folder / "order Oberholzer.docx", tmp_path / "in")
    settings = Settings.model_validate({"ingest": {"read_bytes": 24 << 20}})
    workspace = Workspace.create_or_open(tmp_path / "workspace").with_settings(settings)
    ingest(workspace, [tmp_path / "in"])
    mask(workspace)
    counts = export_documents(workspace, tmp_path / "out", "docx", originals=tmp_path / "in")
    assert counts == {"documents": 1, "not_redacted": 1}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["order masked.docx"]
