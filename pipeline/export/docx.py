"""DOCX with what was masked replaced in place: the formatting stays, and nothing else that may be personal.

Taken out are deleted and hidden text, comments, embedded documents, properties, form fields, field codes and
the targets of links; pictures are blank. What is left is checked before it is written.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import normalize_text
from lexveil.pipeline.export.redaction import Redaction, apply

_TEXTS = re.compile(r"word/(?:document\d*|header\d*|footer\d*|footnotes|endnotes)\.xml")
_KEPT = re.compile(r"word/(?:styles|numbering|fontTable|stylesWithEffects|theme/theme\d*)\.xml")
_PICTURES = re.compile(r"word/media/[^/]+")
_REMOVED = {
    "del", "moveFrom", "object", "altChunk", "subDoc", "sdtPr", "ffData", "smartTagPr", "customXmlPr",
    "commentRangeStart", "commentRangeEnd", "commentReference", "annotationRef", "OLEObject",
}  # fmt: skip
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_BLANKED = {"author", "initials", "descr", "title", "alt", "tooltip", "userId"}
_SAFE_FIELD = re.compile(r"[\sA-Za-z0-9\\*_.]*")
_OFF = ("0", "false", "off")
_NOWHERE = "https://masked.invalid/"
_MACROS = b"application/vnd.ms-word.document.macroEnabled.main+xml"
_PLAIN = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_PIXEL = bytes.fromhex(  # a gray PNG
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6378070000f000ef5de1542c0000000049454e44ae426082"
)


def redact_docx(data: bytes, redaction: Redaction) -> bytes | None:
    """Return a DOCX file with what was masked replaced; None if something would be left.

    Args:
        data: the original file.
        redaction: what was masked in it.
    """
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        names = {name.replace("\\", "/"): name for name in source.namelist()}
        kept = {name for name in names if any(kind.fullmatch(name) for kind in (_TEXTS, _KEPT, _PICTURES))}
        if "word/document.xml" not in kept:
            return None
        for name in sorted(kept):
            content = source.read(names[name])
            if _PICTURES.fullmatch(name):
                content = _PIXEL
            elif _TEXTS.fullmatch(name):
                root = _parse(content)
                _redact_part(root, redaction)
                if _leaks(root, redaction):
                    return None
                content = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
            target.writestr(name, content)
            relations = _name_relations(name)
            if relations in names:
                target.writestr(relations, _keep_relations(source.read(names[relations]), name, kept))
        types = source.read(names["[Content_Types].xml"])
        target.writestr("[Content_Types].xml", _keep_types(types, kept))
        target.writestr("_rels/.rels", _keep_relations(source.read(names["_rels/.rels"]), "", kept))
    return out.getvalue()


def _parse(content: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    return etree.fromstring(content, parser)


def _redact_part(root: Any, redaction: Redaction) -> None:
    _remove(root)
    for paragraph in list(root.iter("{*}p")):
        _redact_paragraph(paragraph, redaction)
    for element in root.iter("{*}textpath"):  # a watermark
        if text := element.get("string"):
            element.set("string", apply(text, redaction.search(text)))


def _remove(root: Any) -> None:
    """Take out what is not shown, or tells who wrote it."""
    for element in list(root.iter("{*}*")):
        name = _local(element)
        if name in _REMOVED or (name == "drawing" and _shows_other_part(element)):
            _drop(element)
        elif name == "vanish" and element.get(_attribute(element, "val"), "1") not in _OFF:
            run = next(iter(element.iterancestors("{*}r")), None)
            if run is not None:
                _drop(run)
        elif name == "instrText" and not _SAFE_FIELD.fullmatch(element.text or ""):
            element.text = ""
        elif name == "bookmarkStart" and not element.get(_attribute(element, "name"), "_").startswith("_"):
            element.set(_attribute(element, "name"), f"_b{element.get(_attribute(element, 'id'), '')}")
        for key in element.attrib:
            local = key.rpartition("}")[2]
            if local in _BLANKED or (local == "name" and name in ("docPr", "cNvPr")):
                element.set(key, "masked" if local == "author" else "")


def _drop(element: Any) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _shows_other_part(drawing: Any) -> bool:
    return any(_local(element) in ("chart", "relIds", "contentPart") for element in drawing.iter("{*}*"))


def _redact_paragraph(paragraph: Any, redaction: Redaction) -> None:
    places: list[tuple[Any, int] | None] = []
    text = ""
    for element in _iter_own(paragraph):
        if _local(element) == "t":
            element.text = normalize_text(element.text or "")
            places += ((element, place) for place in range(len(element.text)))
            text += element.text
        else:
            text += _BREAKS[_local(element)]
            places.append(None)
    for edit in reversed(redaction.edit(text)):
        _replace(places[edit.start : edit.end], edit.text)


def _iter_own(paragraph: Any) -> Iterator[Any]:
    """Yield the texts and breaks of a paragraph, without those of paragraphs in its text boxes."""
    for element in paragraph.iter("{*}*"):
        name = _local(element)
        if name != "t" and not (name in _BREAKS and _local(element.getparent()) == "r"):
            continue
        if next(iter(element.iterancestors("{*}p"))) is paragraph:
            yield element


def _replace(places: list[tuple[Any, int] | None], text: str) -> None:
    """Replace characters, which may be in several runs: the first run gets the new text."""
    removed: dict[Any, list[int]] = {}
    for place in places:
        if place is not None:
            removed.setdefault(place[0], []).append(place[1])
    for element, positions in removed.items():
        old = element.text
        element.text = f"{old[: positions[0]]}{text}{old[positions[-1] + 1 :]}"
        element.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        text = ""


def _leaks(root: Any, redaction: Redaction) -> bool:
    lines = ["".join(element.text or "" for element in _iter_texts(one)) for one in root.iter("{*}p")]
    values = [value for element in root.iter("{*}*") for value in element.attrib.values()]
    return redaction.leaks("\n".join(lines)) or redaction.leaks("\n".join(values), names_only=True)


def _iter_texts(paragraph: Any) -> Iterator[Any]:
    return (element for element in _iter_own(paragraph) if _local(element) == "t")


def _name_relations(part: str) -> str:
    folder, name = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{name}.rels")


def _keep_relations(content: bytes, part: str, kept: set[str]) -> bytes:
    """Return the relationships to parts that are kept; those to elsewhere lead nowhere."""
    root = _parse(content)
    base = posixpath.join("/", posixpath.dirname(part))
    for relation in list(root):
        path = relation.get("Target", "").replace("\\", "/")
        if relation.get("TargetMode") == "External":
            relation.set("Target", _NOWHERE)
        elif posixpath.normpath(posixpath.join(base, path)).lstrip("/") not in kept:
            root.remove(relation)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _keep_types(content: bytes, kept: set[str]) -> bytes:
    root = _parse(content)
    for element in list(root):
        if element.get("PartName", "").lstrip("/") not in kept and _local(element) == "Override":
            root.remove(element)
    written = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
    return written.replace(_MACROS, _PLAIN)


def _attribute(element: Any, name: str) -> str:
    return f"{element.tag.rpartition('}')[0]}}}{name}"


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
