"""The text of one WordprocessingML part, collected from parser events.

Names are those of ECMA-376 part 1, section 17; only those that bear on text are known here.
"""

from __future__ import annotations

from collections.abc import Mapping

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.layout import Layout

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
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def _short(tag: str) -> str:
    """`{...}p` -> `p`, `mc:Choice` for markup compatibility, "" for names that don't matter."""
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
    """Parser target for lxml. `text()` is the part's text once it was fed."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._skipped_from = 0
        """Depth of the element that is being skipped with all it holds; 0: none."""
        self._layouts = [Layout()]
        """The running text, and above it one for every text box that is open."""
        self._boxes: list[str] = []
        self._written = 0
        self._alternatives: list[int] = []
        """For each open AlternateContent, how much text had been written before it."""
        self._joined = False
        """The mark of this paragraph was deleted: the next one continues it."""

    def text(self) -> str:
        self._flush_boxes()
        return self._layouts[0].result()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _short(tag)
        path = self._path
        path.append(name)
        if len(path) == 1 and not name and not tag.endswith("}dataModel"):
            raise UnreadableError(Reason.wrong_suffix)  # a spreadsheet, say; a dataModel is a diagram's text
        if self._skipped_from or not name:
            return
        parent = path[-2] if len(path) > 1 else ""
        grandparent = path[-3] if len(path) > 2 else ""
        depth = len(path)
        if name == "del" and parent == "rPr":
            self._joined = self._joined or grandparent == "pPr"
        elif (name == "del" and parent == "trPr") or (name == "cellDel" and parent == "tcPr"):
            self._skipped_from = depth - 2
        elif name == "vanish":
            if parent == "rPr" and grandparent == "r" and _is_on(attributes):
                self._skipped_from = depth - 2
        elif name in _DROPPED or (name in _BRANCHES and self._written > self._alternatives[-1]):
            self._skipped_from = depth
        elif name == "mc:AlternateContent":
            self._alternatives.append(self._written)
        elif name == "txbxContent":
            self._layouts.append(Layout())
        elif name == "tc":
            self._layouts[-1].open_cell()
        elif parent == "r":
            self._run_child(name, attributes)

    def _run_child(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _BREAKS:
            self._layouts[-1].text(_BREAKS[name])
        elif name == "sym":
            code = next((value for key, value in attributes.items() if key.endswith("}char")), "")
            try:
                self._layouts[-1].text(chr(int(code, 16)))
            except (ValueError, OverflowError):
                self._layouts[-1].text("\ufffd")

    def data(self, text: str) -> None:
        if not self._skipped_from and self._path and self._path[-1] == "t":
            self._layouts[-1].text(text)
            self._written += len(text)

    def end(self, tag: str) -> None:
        depth = len(self._path)
        name = self._path.pop()
        if self._skipped_from:
            if depth > self._skipped_from:
                return
            self._skipped_from = 0
        layout = self._layouts[-1]
        if name == "p":
            if not self._joined:
                layout.line()
            self._joined = False
            if len(self._layouts) == 1:
                self._flush_boxes()
        elif name == "tc":
            layout.close_cell()
        elif name == "tr":
            layout.close_row()
        elif name == "txbxContent" and len(self._layouts) > 1:
            self._boxes.append(self._layouts.pop().result())
        elif name == "mc:AlternateContent" and self._alternatives:
            self._alternatives.pop()
        elif name == "altChunk":
            raise UnreadableError(Reason.unsupported)

    def _flush_boxes(self) -> None:
        for box in self._boxes:
            self._layouts[0].line()
            self._layouts[0].text(box)
            self._layouts[0].line()
        self._boxes.clear()

    def doctype(self, *_: object) -> None:
        """Word writes none, and entities are the way to read other files or to grow without end."""
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        pass


def _is_on(attributes: Mapping[str, str]) -> bool:
    return not any(
        key.endswith("}val") and value in ("0", "false", "off") for key, value in attributes.items()
    )
