"""The text of one WordprocessingML part, collected from parser events.

Names are those of ECMA-376 part 1, section 17. Only the elements that affect the text are handled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.layout import TextLayout
from lexveil.nlp.readers.office_package import PartTarget

_WORD = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",  # strict
)
_DRAWING = (
    "{http://schemas.openxmlformats.org/drawingml/2006/main}",
    "{http://purl.oclc.org/ooxml/drawingml/main}",
)
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DROPPED = frozenset({"del", "moveFrom", "instrText", "delText", "delInstrText", "sdtPr", "rt"})
_BRANCHES = frozenset({"mc:Choice", "mc:Fallback"})
_OUTLINE_LEVELS = frozenset("012345678")
_TITLES = frozenset({"title", "subtitle"})
_MOST_BASES = 20
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def _shorten(tag: str) -> str:
    """Shorten `{...}p` to `p`, with `mc:` before names of markup compatibility; "" for ignored elements."""
    namespace, _, local = tag.rpartition("}")
    namespace += "}"
    if namespace in _WORD:
        return local
    if namespace in _DRAWING:
        return local if local in ("p", "r", "t", "br") else ""
    if namespace == _COMPATIBILITY:
        return f"mc:{local}"
    return "t" if local == "t" and namespace.endswith("/math}") else ""


class WordText:
    """Parser target for lxml that collects the text of one part. `text()` returns it after parsing.

    Args:
        read_chunk: returns the text of a chunk of another format, by the id of its relationship.
        mark_embedded: returns the mark of an embedded document, by the id of its relationship.
        headings: ids of the styles of headings, which have blank lines around them.
        hiding: ids of the styles of hidden text.

    Attributes:
        hidden: number of runs whose text is hidden.
    """

    def __init__(
        self,
        read_chunk: Callable[[str], str],
        mark_embedded: Callable[[str], str],
        headings: Collection[str] = (),
        hiding: Collection[str] = (),
    ) -> None:
        self._read_chunk = read_chunk
        self._mark_embedded = mark_embedded
        self._headings = headings
        self._hiding = hiding
        self.hidden = 0
        self._is_heading = self._is_hiding = False
        self._path: list[str] = []
        self._skipped_from = 0
        """Depth of the element that is skipped with all its content; 0 if none is."""
        self._layouts = [TextLayout()]
        """The running text, followed by one layout per open text box."""
        self._boxes: list[str] = []
        """Text of closed boxes that still have to be written after their paragraph."""
        self._written = 0
        self._alternatives: list[int] = []
        """For each open AlternateContent, the number of characters written before it."""
        self._form_value: list[tuple[str, str]] = []
        """What an old form's list or check box has: its entries, and which is chosen."""
        self._is_joined = False
        """True if the mark of this paragraph was deleted, so that the next paragraph continues it."""

    def text(self) -> str:
        """Return the text of the part."""
        self._flush_boxes()
        return self._layouts[0].getvalue()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element.

        Raises:
            UnreadableError: wrong_suffix, if the root element belongs to another format.
        """
        name = _shorten(tag)
        path = self._path
        path.append(name)
        if len(path) == 1 and not name and not tag.endswith("}dataModel"):
            # A spreadsheet, for instance. A dataModel contains the text of a diagram.
            raise UnreadableError(Reason.wrong_suffix)
        if self._skipped_from:
            return
        if not name:
            self._write_foreign(tag, attributes)
            return
        parent = path[-2] if len(path) > 1 else ""
        grandparent = path[-3] if len(path) > 2 else ""
        if name == "del" and parent == "rPr":
            self._is_joined = self._is_joined or grandparent == "pPr"
        elif levels := self._count_skipped_levels(name, parent, grandparent, attributes):
            self._skipped_from = len(path) + 1 - levels
        else:
            self._open(name, parent, attributes)

    def _count_skipped_levels(
        self, name: str, parent: str, grandparent: str, attributes: Mapping[str, str]
    ) -> int:
        """Return 0 to keep an element, 1 to skip it, 3 to skip its grandparent, of which it is a property."""
        if (name == "del" and parent == "trPr") or (name == "cellDel" and parent == "tcPr"):
            return 3
        if (parent, grandparent) == ("rPr", "r") and (
            (name == "vanish" and _is_on(attributes))
            or (name == "rStyle" and _find_value(attributes) in self._hiding)
        ):
            self._is_hiding = True
            return 3
        is_dropped = name in _DROPPED or (name in _BRANCHES and self._written > self._alternatives[-1])
        return int(is_dropped)

    def _open(self, name: str, parent: str, attributes: Mapping[str, str]) -> None:
        if name == "mc:AlternateContent":
            self._alternatives.append(self._written)
        elif name == "txbxContent":
            self._layouts.append(TextLayout())
        elif name == "tc":
            self._layouts[-1].open_cell()
        elif parent == "pPr" and name in ("pStyle", "outlineLvl"):
            self._note_heading(name, _find_value(attributes))
        elif parent in ("ddList", "checkBox"):
            self._form_value.append((name, _find_value(attributes)))
        elif name == "altChunk":
            self._write_line(self._read_chunk(_find_id(attributes)))
        elif name == "subDoc":
            self._write_line(self._mark_embedded(_find_id(attributes)))
        elif parent == "r":
            self._write_run_child(name, attributes)

    def _note_heading(self, name: str, value: str) -> None:
        """Begin a heading, if this property of a paragraph makes it one now, not before a change."""
        is_heading = value in self._headings if name == "pStyle" else value in _OUTLINE_LEVELS
        if is_heading and self._path[-3:-2] == ["p"] and "tc" not in self._path:
            self._is_heading = True
            self._layouts[-1].break_line(2)

    def _write_foreign(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Write what elements of VML and Office hold: the text of a watermark, and embedded objects."""
        if tag.endswith(":vml}textpath"):
            self._write_line(attributes.get("string", ""))
        elif tag.endswith(":office}OLEObject"):
            self._write_line(self._mark_embedded(_find_id(attributes)))

    def _write_line(self, text: str) -> None:
        self._layouts[-1].break_line()
        self._layouts[-1].write(text.strip())
        self._layouts[-1].break_line()

    def _write_run_child(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _BREAKS:
            self._layouts[-1].write(_BREAKS[name])
        elif name == "sym":
            code = next((value for key, value in attributes.items() if key.endswith("}char")), "")
            try:
                self._layouts[-1].write(chr(int(code, 16)))
            except (ValueError, OverflowError):
                self._layouts[-1].write("\ufffd")

    def data(self, text: str) -> None:
        """Handle character data."""
        if not self._path or self._path[-1] != "t":
            return
        if not self._skipped_from:
            self._layouts[-1].write(text)
            self._written += len(text)
        elif self._is_hiding and text.strip():
            self.hidden += 1
            self._is_hiding = False

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        depth = len(self._path)
        name = self._path.pop()
        if self._skipped_from:
            if depth > self._skipped_from:
                return
            self._skipped_from = 0
            self._is_hiding = False
        match name:
            case "p":
                self._end_paragraph()
            case "tc":
                self._layouts[-1].close_cell()
            case "tr":
                self._layouts[-1].close_row()
            case "txbxContent" if len(self._layouts) > 1:
                self._boxes.append(self._layouts.pop().getvalue())
            case "ddList" | "checkBox":
                self._write_form_value(name)
            case "mc:AlternateContent" if self._alternatives:
                self._alternatives.pop()
            case _:
                pass

    def _write_form_value(self, name: str) -> None:
        """Write the chosen entry of a list, or a box with or without a cross."""
        found = self._form_value
        self._form_value = []
        values = dict(reversed(found))
        chosen = next((values[key] for key in ("result", "checked", "default") if key in values), "0")
        if name == "checkBox":
            self._layouts[-1].write("\u2610" if chosen in ("0", "false", "off") else "\u2612")
            return
        entries = [value for key, value in found if key == "listEntry"]
        index = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 6 else 0
        self._layouts[-1].write(entries[index] if index < len(entries) else "")

    def _end_paragraph(self) -> None:
        if not self._is_joined:
            self._layouts[-1].break_line(2 if self._is_heading else 1)
        self._is_joined = self._is_heading = False
        if len(self._layouts) == 1:
            self._flush_boxes()

    def _flush_boxes(self) -> None:
        for box in self._boxes:
            self._layouts[0].break_line()
            self._layouts[0].write(box)
            self._layouts[0].break_line()
        self._boxes.clear()

    def doctype(self, *_: object) -> None:
        """Refuse a document type: Word writes none, and entities could read files or grow without bound.

        Raises:
            UnreadableError: broken.
        """
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        """Handle the end of the part."""


class Styles(PartTarget):
    """Parser target that finds which styles are those of headings, by their level, and of hidden text."""

    def __init__(self) -> None:
        self._style = ""
        self._bases: dict[str, str] = {}
        self._levels: dict[str, bool] = {}
        self._hidden: dict[str, bool] = {}

    def list_headings(self) -> set[str]:
        """Return the ids of the styles of headings."""
        return self._list(self._levels)

    def list_hidden(self) -> set[str]:
        """Return the ids of the styles of hidden text."""
        return self._list(self._hidden)

    def _list(self, known: Mapping[str, bool]) -> set[str]:
        return {style for style in {*self._bases, *known} if self._find(style, known)}

    def _find(self, style: str, known: Mapping[str, bool]) -> bool:
        """Return what a style says, or the first of those that it is based on."""
        for _ in range(_MOST_BASES):
            if style in known:
                return known[style]
            if style not in self._bases:
                break
            style = self._bases[style]
        return False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        name = _shorten(tag)
        if name == "style":
            self._style = next((value for key, value in attributes.items() if key.endswith("}styleId")), "")
        elif name == "basedOn":
            self._bases[self._style] = _find_value(attributes)
        elif name == "outlineLvl":
            self._levels[self._style] = _find_value(attributes) in _OUTLINE_LEVELS
        elif name == "vanish":
            self._hidden[self._style] = _is_on(attributes)
        elif name == "name" and _find_value(attributes).lower() in _TITLES:
            self._levels.setdefault(self._style, True)


def _find_value(attributes: Mapping[str, str]) -> str:
    return next((value for key, value in attributes.items() if key.endswith("}val")), "1")


def _find_id(attributes: Mapping[str, str]) -> str:
    return next((value for key, value in attributes.items() if key.endswith("}id")), "")


def _is_on(attributes: Mapping[str, str]) -> bool:
    return not any(
        key.endswith("}val") and value in ("0", "false", "off") for key, value in attributes.items()
    )
