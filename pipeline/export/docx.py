"""DOCX with what was masked replaced in place: the formatting stays, and nothing else that may be personal.

The file is rebuilt from what is listed here: the elements and attributes of text, tables and formatting,
whose values are numbers or known words. Everything else is left out: pictures, drawings with their text
boxes, fields, links, bookmarks, controls, deleted and hidden text, comments, properties and embedded
documents. Styles and parts get new names. What is left is checked before it is written.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import Limits, normalize_text
from lexveil.nlp.readers.office_package import OfficePackage, open_package
from lexveil.pipeline.export.redaction import Redaction

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_KINDS = ("header", "footer", "footnotes", "endnotes", "styles", "numbering")
"""Kinds of the parts that are written besides the document itself."""


def _list_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Text and its structure, its formatting, styles and numbering.
_ELEMENTS = _list_words(
    """
    document body hdr ftr footnotes footnote endnotes endnote p r t tab ptab br cr noBreakHyphen
    softHyphen tbl tr tc footnoteReference endnoteReference footnoteRef endnoteRef separator
    continuationSeparator headerReference footerReference pPr rPr tblPr tblPrEx tblGrid gridCol trPr
    tcPr sectPr pStyle rStyle tblStyle keepNext keepLines pageBreakBefore widowControl numPr ilvl numId
    pBdr top left bottom right between bar start end insideH insideV tl2br tr2bl shd tabs
    suppressAutoHyphens bidi adjustRightInd snapToGrid spacing ind contextualSpacing mirrorIndents jc
    textDirection textAlignment outlineLvl b bCs i iCs caps smallCaps strike dstrike outline shadow
    emboss imprint color w kern position sz szCs highlight u effect bdr vertAlign rtl cs em rFonts
    tblpPr tblOverlap bidiVisual tblW tblCellSpacing tblInd tblBorders tblLayout tblCellMar tblLook
    cantSplit trHeight tblHeader gridBefore gridAfter wBefore wAfter tcW gridSpan vMerge hMerge
    tcBorders noWrap tcMar tcFitText vAlign pgSz pgMar pgBorders lnNumType pgNumType cols col titlePg
    docGrid type noEndnote rtlGutter footnotePr endnotePr pos numFmt numStart numRestart styles
    docDefaults rPrDefault pPrDefault style name basedOn next link qFormat uiPriority tblStylePr
    numbering abstractNum multiLevelType lvl lvlRestart suff isLgl lvlText lvlJc num abstractNumId
    lvlOverride startOverride
    """
)
_UNWRAPPED = _list_words(
    """
    ins moveTo hyperlink smartTag customXml sdt sdtContent fldSimple ruby rubyBase dir bdo
    """
)
_REMOVED_ROWS = (("trPr", "del"), ("tcPr", "cellDel"))
_WORDS = _list_words(
    """
    true false on off auto none nil clear left right center both start end distribute top bottom
    baseline superscript subscript single double dotted dashed dash dotDash dotDotDash thick wave words
    thickThinSmallGap thinThickSmallGap triple inset outset pct dxa exact atLeast restart continue
    nextPage nextColumn evenPage oddPage page column line textWrapping lrTb tbRl btLr portrait landscape
    default first even odd separator continuationSeparator decimal upperRoman lowerRoman upperLetter
    lowerLetter bullet ordinal cardinalText decimalZero paragraph character table numbering
    hybridMultilevel multilevel singleLevel space nothing fixed autofit text margin around preserve
    minor major yellow green cyan magenta blue red darkBlue darkCyan darkGreen darkMagenta darkRed
    darkYellow darkGray lightGray black white eachPage eachSect newPage newSection pageBottom
    beneathText sectEnd docEnd lines linesAndChars snapToChars num hanging underscore hyphen heavy
    middleDot firstRow lastRow firstCol lastCol band1Vert band2Vert band1Horz band2Horz wholeTable
    neCell nwCell seCell swCell inside outside
    """
)
_FONTS = frozenset(
    ["Arial", "Calibri", "Cambria", "Courier New", "Garamond", "Georgia", "Helvetica", "Symbol", "Tahoma",
     "Times New Roman", "Verdana", "Wingdings", "Book Antiqua", "Century Schoolbook", "MS Mincho", "SimSun"]
)  # fmt: skip
_STYLE_NAME = re.compile(
    r"normal|(?:heading|toc|list bullet|list number|body text|list) ?[1-9]?|title|subtitle|list paragraph"
    r"|header|footer|(?:foot|end)note (?:text|reference)|table grid|normal table|no list|quote"
    r"|strong|emphasis|hyperlink|default paragraph font|caption|no spacing|block text",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,4})?(?:pt|cm|mm|in|pc|pi|%)?")
_COLOR = re.compile(r"[0-9A-Fa-f]{6}")
_LEVEL = re.compile(r"%[1-9]|[^\w%]|_|[\uf000-\uf0ff]")
_STYLE_KEYS = frozenset({"pStyle", "rStyle", "tblStyle", "basedOn", "next", "link"})
_FONT_KEYS = frozenset({"ascii", "hAnsi", "cs", "eastAsia"})
_FILL_KEYS = frozenset({"color", "fill"})
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_OFF = ("0", "false", "off")
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _Names:
    """New names of styles and of parts, by the old ones."""

    styles: Mapping[str, str] = field(repr=False)
    parts: Mapping[str, str] = field(repr=False)


def redact_docx(data: bytes, redaction: Redaction) -> bytes | None:
    """Return a DOCX file with what was masked replaced; None if something would be left.

    Args:
        data: the original file.
        redaction: what was masked in it.

    Raises:
        UnreadableError: it is not a DOCX file, or inflates to more than a reader accepts.
    """
    with open_package(data, _LIMITS) as package:
        roots = _read_parts(package)
    identifiers = {old: f"rId{number}" for number, (old, _, _) in enumerate(roots, 1)}
    names = _Names(_name_styles([root for _, _, root in roots]), identifiers)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        written: list[tuple[str, str]] = []
        for old, kind, root in roots:
            clean = _copy(root, names)
            if clean is None:
                return None
            if kind not in ("styles", "numbering"):
                for paragraph in list(clean.iter("{*}p")):
                    _redact_paragraph(paragraph, redaction)
            if not _is_clean(clean, redaction):
                return None
            name = f"{kind}{identifiers[old][3:]}.xml" if kind != "document" else "document.xml"
            content = etree.tostring(clean, xml_declaration=True, encoding="UTF-8", standalone=True)
            target.writestr(f"word/{name}", content)
            written.append((kind, name))
        target.writestr("[Content_Types].xml", _write_types(written))
        target.writestr("_rels/.rels", _write_relations([("officeDocument", "word/document.xml", "rId1")]))
        relations = [
            (kind, name, identifier)
            for (kind, name), identifier in zip(written, identifiers.values(), strict=True)
            if kind != "document"
        ]
        target.writestr("word/_rels/document.xml.rels", _write_relations(relations))
    return out.getvalue()


# Reading.


def _read_parts(package: OfficePackage) -> list[tuple[str, str, Any]]:
    """Return relationship, kind and content of the parts that the reader reads, and of the formatting."""
    main = package.find_main("word/document.xml")
    parts = [("", "document", _parse(package.inflate(main)))]
    for identifier, (kind, name) in package.find_related(main).items():
        if kind in _KINDS:
            parts.append((identifier, kind, _parse(package.inflate(name))))
    return parts


def _parse(content: bytes) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(content, parser)


def _name_styles(roots: Sequence[Any]) -> dict[str, str]:
    found = [
        _get(one, "styleId")
        for root in roots
        for one in root.iter(f"{{{_WORD}}}style", f"{{{_STRICT}}}style")
    ]
    return {old: f"S{number}" for number, old in enumerate(dict.fromkeys(found), 1)}


# Copying.


def _copy(root: Any, names: _Names) -> Any:
    """Return the copy of a part's root; None if it is of another format."""
    made = list(_copy_element(root, names))
    return made[0] if len(made) == 1 else None


def _copy_element(old: Any, names: _Names) -> Iterator[Any]:
    """Yield the copy of an element, or those of its children, or nothing."""
    name = _local(old)
    if etree.QName(old).namespace not in (_WORD, _STRICT):
        return
    if name in _UNWRAPPED:
        for child in old:
            yield from _copy_element(child, names)
        return
    if name not in _ELEMENTS or _is_removed(old, name):
        return
    new = etree.Element(f"{{{_WORD}}}{name}", nsmap={"w": _WORD, "r": _RELATIONS})
    if not _copy_attributes(old, new, name, names):
        return
    if name == "t":
        new.text = normalize_text("".join(old.itertext()))
        new.set(_SPACE, "preserve")
    else:
        for child in old:
            for one in _copy_element(child, names):
                # The base of a phonetic guide is runs in a run.
                new.extend(list(one) if name == _local(one) == "r" else [one])
        if name in ("tc", "hdr", "ftr", "footnote", "endnote") and not len(new):
            etree.SubElement(new, f"{{{_WORD}}}p")
    yield new


def _is_removed(element: Any, name: str) -> bool:
    """Return True for a run that is hidden, and for a row or cell that is deleted."""
    if name == "r":
        hidden = element.find("{*}rPr/{*}vanish")
        return hidden is not None and _get(hidden, "val", "1") not in _OFF
    return name in ("tr", "tc") and any(
        element.find(f"{{*}}{properties}/{{*}}{mark}") is not None for properties, mark in _REMOVED_ROWS
    )


def _copy_attributes(old: Any, new: Any, name: str, names: _Names) -> bool:
    """Copy the attributes of an element; return False if it is useless without one that is left out."""
    for key, value in old.attrib.items():
        namespace, _, local = key.rpartition("}")
        if namespace[1:] not in (_WORD, _STRICT):
            if local == "id" and name.endswith("Reference"):
                if value not in names.parts:
                    return False
                new.set(f"{{{_RELATIONS}}}id", names.parts[value])
            continue
        kept = _keep_value(old, local, value, names)
        if kept is not None:
            new.set(f"{{{_WORD}}}{local}", kept)
        elif local == "val":
            return False
    return True


def _keep_value(element: Any, local: str, value: str, names: _Names) -> str | None:
    """Return the value of an attribute in the copy; None to leave it out."""
    name = _local(element)
    if local.startswith("rsid"):
        return None
    if local == "styleId" or name in _STYLE_KEYS:
        return names.styles.get(value)
    if name == "name":
        new = names.styles.get(_get(element.getparent(), "styleId"), "")
        return value if _STYLE_NAME.fullmatch(value) else f"Style {new}"
    if name == "lvlText":
        return "".join(_LEVEL.findall(value))
    if name == "rFonts" and local in _FONT_KEYS:
        return value if value in _FONTS else None
    is_color = (name == "color" or local in _FILL_KEYS) and _COLOR.fullmatch(value)
    return value if is_color or value in _WORDS or _NUMBER.fullmatch(value) else None


# Masking.


def _redact_paragraph(paragraph: Any, redaction: Redaction) -> None:
    places: list[tuple[Any, int] | None] = []
    text = ""
    for element in _iter_texts(paragraph):
        if _local(element) == "t":
            places += ((element, place) for place in range(len(element.text)))
            text += element.text
        else:
            text += _BREAKS[_local(element)]
            places.append(None)
    for edit in reversed(redaction.edit(text)):
        _replace(places[edit.start : edit.end], edit.text)


def _iter_texts(paragraph: Any) -> Iterator[Any]:
    """Yield the texts and breaks of a paragraph."""
    for element in paragraph.iter("{*}*"):
        name = _local(element)
        if name == "t" or (name in _BREAKS and _local(element.getparent()) == "r"):
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
        text = ""


def _is_clean(root: Any, redaction: Redaction) -> bool:
    """Return True if every word of a part is in the masked text, and none was masked."""
    lines = [
        "".join(_BREAKS.get(_local(one), one.text or "") for one in _iter_texts(paragraph))
        for paragraph in root.iter("{*}p")
    ]
    everything = " ".join(root.itertext())
    values = [value for element in root.iter("{*}*") for value in element.attrib.values()]
    return (
        all(next(one.iterancestors("{*}p"), None) is not None for one in root.iter("{*}t"))
        and all(map(redaction.knows, lines))
        and not redaction.leaks("\n".join(lines))
        and not redaction.leaks(everything)
        and not redaction.leaks("\n".join(values), names_only=True)
    )


# Writing.


def _write_types(written: Sequence[tuple[str, str]]) -> bytes:
    root = etree.Element("Types", xmlns=f"{_PACKAGE}/content-types")
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    etree.SubElement(root, "Default", Extension="rels", ContentType=relations)
    for kind, name in written:
        content = f"{_TYPES}.{'document.main' if kind == 'document' else kind}+xml"
        etree.SubElement(root, "Override", PartName=f"/word/{name}", ContentType=content)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _write_relations(relations: Sequence[tuple[str, str, str]]) -> bytes:
    root = etree.Element("Relationships", xmlns=f"{_PACKAGE}/relationships")
    for kind, target, identifier in relations:
        etree.SubElement(root, "Relationship", Id=identifier, Type=f"{_RELATIONS}/{kind}", Target=target)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _get(element: Any, name: str, default: str = "") -> str:
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), default)


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
