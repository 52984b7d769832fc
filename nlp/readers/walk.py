"""The walk through a file: the documents inside it, at any depth, in order, within limits.

A walk can continue where another one was interrupted, without reading what came before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

from lexveil.nlp.readers.contract import (
    Content,
    Limits,
    Note,
    Part,
    Reason,
    UnreadableError,
    escape_name,
    normalize_text,
    place_parts,
)

_ATTACHMENT = "[attachment]"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufdd0-\ufdef]+")
_MAX_NAME = 250

Path = tuple[int, ...]
"""Numbers of the parts, each from 0, that lead to a document; empty for the file itself."""


class Place(NamedTuple):
    """Where a walk is: before a document.

    Attributes:
        path: Path of the document.
        documents: Number of documents before it.
        size: Size of all parts before it.
        is_start: True if everything before it has been given, so that a walk may begin there.
    """

    path: Path = ()
    documents: int = 0
    size: int = 0
    is_start: bool = False


Begin = Callable[[Place], None]
"""Called before each document, or container, is read, and before each that a walk passes on its way."""


def ignore_place(place: Place) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One document of a file, or the reason why it cannot be read.

    Attributes:
        name: Names of the parts that lead to the document, joined by "/"; "" for the file itself.
        text: The normalized text; None if it cannot be read, and for a container that is not a document.
        reason: Why it cannot be read.
        notes: What the text does not show, counted.
        fields: Facts that the format states, such as court, date, number and parties.
        belongs_to: Name of the outermost document that contains this one, such as the message of an
            attachment; None if it is not inside another document. An archive is not a document. Of a
            container without a text, such as a portfolio, the first document counts as the outermost.
    """

    name: str = field(repr=False)
    text: str | None = field(default=None, repr=False)
    reason: Reason | None = None
    notes: Mapping[Note, int] = field(default_factory=dict[Note, int])
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    belongs_to: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Node:
    """A document, or why it cannot be read, and the documents inside it, which are read one by one."""

    path: Path
    name: str = field(repr=False)
    content: Content | Reason = field(repr=False)
    inside: Iterator[_Node] = field(repr=False)


class Walk:
    """The walk through one file, with what may still be read of it.

    Args:
        read_part: Reads a document that is a part of another one, without the documents inside it.
        limits: Bounds on what is accepted.
        begin: Called before each document, or container, is read.
        refused: Paths of documents that must not be read, and why.
        start: Where to begin; earlier documents are left out.
    """

    def __init__(
        self,
        read_part: Callable[[Part, Limits], Content],
        limits: Limits,
        begin: Begin = ignore_place,
        refused: Mapping[Path, Reason] | None = None,
        start: Place | None = None,
    ) -> None:
        self._read_part = read_part
        self._limits = limits
        self._begin = begin
        self._refused = refused or {}
        self._start = start or Place()
        self._documents = self._start.documents
        self._size = self._start.size
        self.facts: list[Mapping[str, str]] = []
        """What the formats of the documents in a whole text state, in order."""
        self._within = 0
        """Number of open documents that are yielded only after everything inside them was read."""

    def read_whole(self, read: Callable[[], Content]) -> str:
        """Return the text of a file with the texts of the documents inside it.

        Args:
            read: Reads the file itself.

        Raises:
            UnreadableError: it cannot be read, or has no text.
        """
        outcome = self._join(self._open_file(read))
        if isinstance(outcome, Reason):
            raise UnreadableError(outcome)
        return outcome

    def list_readings(self, read: Callable[[], Content]) -> Iterator[Reading]:
        """Yield a file, then the documents inside it.

        Args:
            read: Reads the file itself.
        """
        yield from self._list_readings(self._open_file(read))

    def _open_file(self, read: Callable[[], Content]) -> _Node:
        self._begin(Place())
        return self._open((), "", read, self._limits)

    def _is_on_way(self, path: Path) -> bool:
        """Return True for the documents that contain the one where the walk begins."""
        return len(path) < len(self._start.path) and self._start.path[: len(path)] == path

    def _list_readings(self, node: _Node, prefix: str = "", outer: str | None = None) -> Iterator[Reading]:
        """Yield a document, then those inside it.

        Args:
            node: The document.
            prefix: Name of the document that contains it, with "/"; "" for the file itself.
            outer: Name of the outermost document that contains it; None if there is none.
        """
        name = f"{prefix}{node.name}"
        content = node.content
        if isinstance(content, Reason):
            yield Reading(name, reason=content, belongs_to=outer)
            return
        below = f"{name}/" if name else ""
        if not content.text.strip():
            yield from self._list_container(node, content, name, below, outer)
            return
        self._within += 1
        inner = [[*self._list_readings(one, below, name if outer is None else outer)] for one in node.inside]
        self._within -= 1
        refusals = [_find_refusal(readings) for readings in inner]
        shown = {n: _describe(reason) if reason else _ATTACHMENT for n, reason in enumerate(refusals)}
        unread = sum(reason is not None for reason in refusals)
        notes = Counter(content.notes)
        notes.update({Note.unread_attachment: unread} if unread else {})
        text = normalize_text(place_parts(content.text, shown))
        yield Reading(name, text, None, dict(notes), dict(content.fields), outer)
        for readings in inner:
            yield from readings

    def _list_container(
        self, node: _Node, content: Content, name: str, below: str, outer: str | None
    ) -> Iterator[Reading]:
        is_empty = not self._is_on_way(node.path)
        first: str | None = None
        if content.notes and is_empty:
            yield Reading(name, notes=dict(content.notes), belongs_to=outer)
        self._within += not content.is_archive
        for one in node.inside:
            is_empty = False
            for reading in self._list_readings(one, below, outer):
                if outer is not None or content.is_archive:
                    yield reading
                    continue
                yield reading if first is None else replace(reading, belongs_to=first)
                if first is None and reading.text is not None:
                    first = reading.name
        self._within -= not content.is_archive
        if is_empty:
            yield Reading(name, reason=Reason.empty, belongs_to=outer)

    def _join(self, node: _Node) -> str | Reason:
        content = node.content
        if isinstance(content, Reason):
            return content
        if content.fields:
            self.facts.append(dict(content.fields))
        outcomes = [self._join(one) for one in node.inside]
        if content.text.strip():
            head = f"{_ATTACHMENT}\n\n"
        elif all(isinstance(outcome, Reason) for outcome in outcomes):
            return next((one for one in outcomes if isinstance(one, Reason)), Reason.empty)
        else:
            head = ""
        shown = {
            number: _describe(outcome) if isinstance(outcome, Reason) else f"{head}{outcome}"
            for number, outcome in enumerate(outcomes)
        }
        return normalize_text(place_parts(content.text, shown))

    def _open(self, path: Path, name: str, read: Callable[[], Content], limits: Limits) -> _Node:
        self._documents += not self._is_on_way(path)
        outcome = self._refused.get(path) or _translate_errors(read)
        if isinstance(outcome, Reason):
            return _Node(path, name, outcome, iter(()))
        return _Node(path, name, outcome, self._open_parts(path, outcome, limits))

    def _open_parts(self, path: Path, content: Content, limits: Limits) -> Iterator[_Node]:
        if isinstance(content.parts, Sized) and not len(content.parts):
            return
        inner = replace(limits, max_depth=limits.max_depth - 1)
        first = self._start.path[len(path)] if self._is_on_way(path) else 0
        names: dict[str, int] = {}
        parts = iter(content.parts)
        for number in count():
            self._begin(self._find_place(path, number, number < first))
            part, reason = _take(parts)
            if part is None:
                return
            name = _make_unique(_clean_name(part.name) or "part", names)
            if number < first:
                continue
            if not self._is_on_way((*path, number)):
                reason = reason or self._count(part)
            if reason is not None:  # a break: nothing that follows can be read
                yield _Node((*path, number), name, reason, iter(()))
                return
            yield self._open((*path, number), name, lambda part=part: self._read_part(part, inner), inner)

    def _find_place(self, path: Path, number: int, is_skipped: bool) -> Place:
        """Return the place before a part; for one that was given before, the place of what contains it."""
        if is_skipped:
            return Place(path, self._documents, self._size)
        is_start = not self._within and not self._is_on_way((*path, number))
        return Place((*path, number), self._documents, self._size, is_start)

    def _count(self, part: Part) -> Reason | None:
        """Count a part; return why it and all that follow cannot be read."""
        self._size += 0 if isinstance(part.data, Reason) else len(part.data)
        if self._documents > self._limits.max_parts:
            return Reason.too_many_parts
        return Reason.decompression_bomb if self._size > self._limits.max_total_bytes else None


def _take(parts: Iterator[Part]) -> tuple[Part | None, Reason | None]:
    """Return the next part, if there is one, and why neither it nor those that follow can be read."""
    try:
        return next(parts, None), None
    except UnreadableError as unreadable:
        return Part("", unreadable.reason), unreadable.reason
    except Exception:
        return Part("", Reason.broken), Reason.broken


def _translate_errors(read: Callable[[], Content]) -> Content | Reason:
    try:
        content = read()
        # A container of a document has no text, and a document has some.
        return content if content.text.strip() or content.parts != () or content.notes else Reason.empty
    except UnreadableError as unreadable:
        return unreadable.reason
    except MemoryError:
        return Reason.over_memory
    except Exception:
        # Third-party parsers process hostile bytes here: which exceptions they may raise is not known, and
        # they may quote text.
        return Reason.broken


def _find_refusal(readings: list[Reading]) -> Reason | None:
    """Return why a part was not read; None if anything of it was."""
    return None if any(reading.text is not None for reading in readings) else readings[0].reason


def _describe(reason: Reason) -> str:
    return f"[attachment not read: {reason}]"


def _clean_name(name: str) -> str:
    """Return a name that has a UTF-8 form, without control characters, and leads out of no folder."""
    shown = _CONTROL.sub(" ", escape_name(name.replace("\\", "/")))
    steps = [step.strip() for step in shown.split("/")]
    return "/".join(step for step in steps if step not in ("", ".", ".."))[-_MAX_NAME:].lstrip("/")


def _make_unique(name: str, taken: dict[str, int]) -> str:
    """Return a name that no part before has.

    Args:
        name: Name of the part.
        taken: How often each name occurred, and the names assigned so far.
    """
    unique = name
    while unique in taken:
        taken[name] += 1
        unique = f"{name}#{taken[name]}"
    taken[unique] = 1
    return unique
