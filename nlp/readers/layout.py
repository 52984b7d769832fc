"""Collects running text with lines, table cells and rows, for the readers of structured formats."""

from __future__ import annotations


class Layout:
    r"""Text with separators that are written only between two pieces of text.

    A line ends in "\n", a table cell in "\t", a row in "\n"; empty cells keep their tab, so columns stay
    in their places; at most one blank line stands between two lines.
    """

    __slots__ = ("_before_cell", "_gap", "_parts")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = ""
        self._before_cell: int | None = None
        """In a cell without text so far: how much of the gap was there before it."""

    def text(self, piece: str) -> None:
        if not piece:
            return
        if self._before_cell is not None:
            self._gap = self._trimmed()
            self._before_cell = None
        if self._gap:
            if self._parts:
                self._parts[-1] = self._parts[-1].rstrip(" ")
                self._parts.append(self._gap)
            self._gap = ""
        self._parts.append(piece)

    def _trimmed(self) -> str:
        """The gap without the lines that stand in the cell itself."""
        before = self._before_cell or 0
        return self._gap[:before] + self._gap[before:].strip("\n")

    def at_line_start(self) -> bool:
        """Whether a space written now would be the first thing on its line."""
        return bool(self._gap) or not self._parts or self._parts[-1].endswith((" ", "\n"))

    def line(self, newlines: int = 1) -> None:
        """The next text stands at least `newlines` lines lower."""
        missing = newlines - self._gap.count("\n")
        if missing > 0:
            self._gap += "\n" * missing

    def open_cell(self) -> None:
        self._before_cell = len(self._gap)

    def close_cell(self) -> None:
        self._gap = self._trimmed() + "\t"
        self._before_cell = None

    def close_row(self) -> None:
        self._before_cell = None
        self._gap = self._gap.rstrip("\t\n") + "\n"

    def result(self) -> str:
        return "".join(self._parts)
