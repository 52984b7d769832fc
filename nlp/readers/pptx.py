"""PPTX to text: the slides in order, each with its tables, diagrams and notes.

Shapes come in the order of the file, groups in place. Hidden slides are text; comments and the text of the
master are not. Embedded documents are separate documents. Pictures are counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.layout import TextLayout
from lexveil.nlp.readers.office_package import OfficePackage, PartTarget, open_package

_BESIDE = ("diagramData", "notesSlide", "chart")
EMBEDDED = ("package", "oleObject")
"""Kinds of the relationships to embedded documents."""
_SKIPPED = ("Fallback",)


def read(data: bytes, limits: Limits) -> Content:
    """Read a PPTX file.

    Raises:
        UnreadableError: encrypted, wrong_suffix, broken, decompression_bomb, needs_ocr (pictures alone).
    """
    with open_package(data, limits) as package:
        main = package.find_main("ppt/presentation.xml")
        order = _SlideOrder()
        package.parse(main, order)
        if not order.is_presentation:
            raise UnreadableError(Reason.wrong_suffix)
        related = package.find_related(main)
        slides = [related[identifier][1] for identifier in order.slides if identifier in related]
        texts: list[str] = []
        names: list[str] = []
        pictures = 0
        for slide in dict.fromkeys(slides):
            texts.append(_read_slide(package, slide))
            kinds = package.find_related(slide).values()
            pictures += sum(kind == "image" for kind, _ in kinds)
            names += (name for kind, name in kinds if kind in EMBEDDED)
        text = "\n\n".join(text for text in texts if text.strip())
        properties = package.read_properties()
        embedded = [package.read_embedded(name) for name in names]
        if not text and not embedded and pictures:
            raise UnreadableError(Reason.needs_ocr)
        missing = len(order.slides) - len(slides)
        notes = {Note.unread_picture: pictures, Note.unread_page: missing}
        return Content(text, embedded, {note: n for note, n in notes.items() if n}, properties)


def _read_slide(package: OfficePackage, slide: str) -> str:
    related = sorted(package.find_related(slide).values())
    parts = [slide, *(name for wanted in _BESIDE for kind, name in related if kind == wanted)]
    return "\n".join(text for part in parts if (text := read_drawing(package, part)))


def read_drawing(package: OfficePackage, part: str) -> str:
    """Return the text of the shapes, tables and diagrams in a part.

    Raises:
        UnreadableError: decompression_bomb, broken.
    """
    target = _DrawingText()
    package.parse(part, target)
    return target.text()


class _SlideOrder(PartTarget):
    """Collects the ids of the slides' relationships, in the order of the presentation."""

    def __init__(self) -> None:
        self.slides: list[str] = []
        self.is_presentation = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self.is_presentation = self.is_presentation or name == "presentation"
        if name == "sldId":
            self.slides += (value for key, value in attributes.items() if key.endswith("}id"))


class _DrawingText(PartTarget):
    """Collects the text of one part (DrawingML: ECMA-376 part 1, section 21)."""

    def __init__(self) -> None:
        self._layout = TextLayout()
        self._path: list[str] = []
        self._skipped = 0

    def text(self) -> str:
        """Return the text."""
        return self._layout.getvalue()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._path.append(name)
        if self._skipped or name in _SKIPPED or attributes.get("type") == "slidenum":
            self._skipped += 1
        elif name == "tc":
            self._layout.open_cell()
        elif name == "br":
            self._layout.write("\n")

    def data(self, text: str) -> None:
        # A chart keeps its words as values.
        if not self._skipped and self._path and self._path[-1] in ("t", "v"):
            self._layout.write(text)

    def end(self, tag: str) -> None:
        name = self._path.pop()
        if self._skipped:
            self._skipped -= 1
        elif name in ("p", "v"):
            self._layout.break_line()
        elif name == "tc":
            self._layout.close_cell()
        elif name == "tr":
            self._layout.close_row()
