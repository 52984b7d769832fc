"""Running text with lines, table cells and rows, collected by the readers of structured formats."""

from __future__ import annotations


class TextLayout:
    r"""Text with separators that are written only between two pieces of text.

    A line ends with "\n", a table cell with "\t", a row with "\n". Empty cells keep their tab, so that
    columns stay aligned. There is at most one blank line between two lines.
    """

    __slots__ = ("_before_cell", "_gap", "_parts")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = ""
        """Separators since the last piece of text."""
        self._before_cell: int | None = None
        """Length of the gap before the current cell, as long as that cell has no text."""

    def write(self, piece: str) -> None:
        """Append text, after the separators since the last piece."""
        if not piece:
            return
        if self._before_cell is not None:
            self._gap = self._trim_gap()
            self._before_cell = None
        if self._gap:
            if self._parts:
                self._parts[-1] = self._parts[-1].rstrip(" ")
                self._parts.append(self._gap)
            self._gap = ""
        self._parts.append(piece)

    def _trim_gap(self) -> str:
        """Return the gap without the line breaks inside the current cell."""
        before = self._before_cell or 0
        return self._gap[:before] + self._gap[before:].strip("\n")

    def is_at_line_start(self) -> bool:
        """Return True if a space written now would follow a separator or another space."""
        gap = self._gap if self._before_cell is None else self._trim_gap()
        return bool(gap) or not self._parts or self._parts[-1].endswith((" ", "\n"))

    def break_line(self, newlines: int = 1) -> None:
        """Place the next text at least `newlines` lines lower."""
        missing = newlines - self._gap.count("\n")
        if missing > 0:
            self._gap += "\n" * missing

    def open_cell(self) -> None:
        """Start a table cell."""
        self._before_cell = len(self._gap)

    def close_cell(self) -> None:
        """End a table cell."""
        self._gap = self._trim_gap() + "\t"
        self._before_cell = None

    def close_row(self) -> None:
        """End a table row."""
        self._before_cell = None
        self._gap = self._gap.rstrip("\t\n") + "\n"

    def getvalue(self) -> str:
        """Return the collected text, without separators after the last piece."""
        return "".join(self._parts)
