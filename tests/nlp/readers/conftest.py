from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from lexveil.nlp.readers import Limits, Reason, UnreadableError, read_document

Read = Callable[..., str]
BuildDocx = Callable[..., bytes]
BuildPdf = Callable[..., bytes]

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes bytes under a name and reads them as a user would."""

    def call(name: str, data: bytes, limits: Limits | None = None) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return read_document(path, limits)

    return call


@pytest.fixture
def refusal(read: Read) -> Callable[..., Reason]:
    """Why the bytes can't be read; the message and the context must hold nothing else."""

    def call(name: str, data: bytes, limits: Limits | None = None) -> Reason:
        with pytest.raises(UnreadableError) as caught:
            read(name, data, limits)
        assert str(caught.value) == caught.value.reason.value
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        return caught.value.reason

    return call


@pytest.fixture
def docx() -> BuildDocx:
    """A DOCX from the XML of its body and of other parts (`header1="<w:p>..."`)."""

    def build(
        body: str, *, raw: dict[str, bytes] | None = None, more_relations: str = "", **parts: str
    ) -> bytes:
        buffer = io.BytesIO()
        kinds = {name: name.rstrip("0123456789") for name in parts}
        relations = "".join(
            f'<Relationship Id="r{i}" Type="{OFFICE}/{kinds[name]}" Target="{name}.xml"/>'
            for i, name in enumerate(parts)
        )
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr(
                "_rels/.rels",
                f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r" Type="{OFFICE}/officeDocument" '
                'Target="word/document.xml"/></Relationships>',
            )
            archive.writestr(
                "word/_rels/document.xml.rels",
                f'<Relationships xmlns="{PACKAGE}">{relations}{more_relations}</Relationships>',
            )
            archive.writestr(
                "word/document.xml", f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>"
            )
            for name, xml in parts.items():
                archive.writestr(f"word/{name}.xml", f"<w:{kinds[name]} {NAMESPACES}>{xml}</w:{kinds[name]}>")
            for name, data in (raw or {}).items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return build


@pytest.fixture
def gray_picture() -> ImageReader:
    from PIL import Image

    return ImageReader(Image.new("L", (200, 260), 128))


@pytest.fixture
def pdf(gray_picture: ImageReader) -> BuildPdf:
    """A PDF of pages, each (text, whether a picture fills it)."""

    def build(*pages: tuple[str, bool], **options: Any) -> bytes:
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(595, 842), invariant=1, **options)
        for text, pictured in pages:
            if pictured:
                canvas.drawImage(gray_picture, 0, 0, 595, 842)
            for number, line in enumerate(text.split("\n")):
                canvas.drawString(60, 780 - 14 * number, line)
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()

    return build
