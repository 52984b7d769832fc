"""The text of consecutive pages: running heads and page numbers do not cut sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from lexveil.nlp.readers.pdf_layout import Kind, Row

_PAGE_NUMBER = re.compile(
    r"[\W_]*(?:(?:page|seite|blatt|p\.|s\.)\s*)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:of|/|von|de|-)\s*\d{1,4})?[\W_]*",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\bcase\b.{1,80}\b(?:document|filed|page|entry)\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_SPACES = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?:[.!?:;。！？：；][\"'”’»)]*|\])\s*\Z")
_ABBREVIATION = re.compile(r"\b\w{1,4}\.\s*\Z")
_REPEATED = 2
_PAGES_PER_HEAD = 8
_NEARLY_FULL = 0.7  # of the usual length of a line
_OPENING = "\"'“‘«(["
_LONG = 200


def join_pages(pages: Sequence[Sequence[Row]]) -> str:
    """Return the text of a document.

    Running heads, page numbers and footnotes between two halves of a sentence are moved to its end. A page
    that begins with a new sentence follows a blank line.
    """
    repeated = Counter(
        normal
        for page in pages
        for normal in {_normalize(row.text) for row in page if row.kind in (Kind.top, Kind.bottom)}
    )
    often = max(_REPEATED, len(pages) // _PAGES_PER_HEAD)
    heads = {normal for normal, count in repeated.items() if count >= often}
    text = _Text()
    for page in pages:
        if page:
            text.add_page(*_split_page(page, heads))
    return text.finish()


def _normalize(text: str) -> str:
    return _SPACES.sub("", _DIGITS.sub("#", text)).casefold()


def _split_page(page: Sequence[Row], heads: set[str]) -> tuple[list[str], list[str], list[str]]:
    """Return what stands above the text of a page, the text, and what stands below it."""
    outer = _find_furniture(page, Kind.top, heads) | _find_furniture(reversed(page), Kind.bottom, heads)
    if not any(row.kind is not Kind.note and id(row) not in outer for row in page):
        outer = {id(row) for row in page if _is_number(row.text)}
    above = [row.text for row in page if id(row) in outer and row.kind is Kind.top]
    below = [
        row.text for row in page if row.kind is Kind.note or (id(row) in outer and row.kind is not Kind.top)
    ]
    body = [row.text for row in page if row.kind is not Kind.note and id(row) not in outer]
    return above, body, below


def _find_furniture(rows: Iterable[Row], kind: Kind, heads: set[str]) -> set[int]:
    """Return the rows of a kind that are running heads or page numbers, up to the first that is neither."""
    found: set[int] = set()
    for row in rows:
        if row.kind is kind:
            if not (_is_number(row.text) or _normalize(row.text) in heads):
                break
            found.add(id(row))
    return found


def _is_number(text: str) -> bool:
    """Return True for the number of a page, and for the stamp of a court's electronic files."""
    return len(text) < _LONG and (_PAGE_NUMBER.fullmatch(text) or _STAMP.search(text)) is not None


class _Text:
    """Text of pages, with what waits for the end of a sentence."""

    def __init__(self) -> None:
        self._blocks: list[list[str]] = []
        self._waiting: list[str] = []

    def add_page(self, above: list[str], body: list[str], below: list[str]) -> None:
        if body and not self._is_within_sentence(body[0]):
            self._flush()
            self._add_block(above)
            self._add_block(body)
        else:
            self._waiting += above
            self._continue(body)
        self._waiting += below

    def finish(self) -> str:
        self._flush()
        return "\n\n".join("\n".join(block) for block in self._blocks)

    def _is_within_sentence(self, following: str) -> bool:
        if not self._blocks:
            return False
        block = self._blocks[-1]
        ended = _SENTENCE_END.search(block[-1]) is not None
        if following.lstrip(_OPENING)[:1].islower():
            return not ended or _ABBREVIATION.search(block[-1]) is not None
        return not ended and len(block[-1]) > _NEARLY_FULL * median(map(len, block))

    def _continue(self, body: list[str]) -> None:
        end = next((n for n, row in enumerate(body, 1) if _SENTENCE_END.search(row)), len(body))
        if end:
            self._blocks[-1] += body[:end]
        if end < len(body):
            self._flush()
            self._add_block(body[end:])

    def _add_block(self, rows: list[str]) -> None:
        if rows:
            self._blocks.append(list(rows))

    def _flush(self) -> None:
        self._add_block(self._waiting)
        self._waiting = []
