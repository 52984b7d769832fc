"""Regular expressions that are tried only where a match can be.

Most rules need something rare: a digit, an "@", the name of a month, a title. A pattern's own syntax tree
says what every match of it contains, and how far from the beginning (`shapes.py`). One pass of an automaton
(Aho and Corasick 1975) over a text finds these strings, the triggers, for all patterns of a set; a pattern is
then tried at the few places from which a match can reach one. Its matches are exactly those of `re`: where
the tree says nothing useful, the pattern is tried everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import ahocorasick

from lexveil.nlp.patterns.known_shapes import read_pattern, read_shapes
from lexveil.nlp.patterns.shapes import FEW, INFINITE, Shape, Trigger
from lexveil.nlp.patterns.syntax import compile_pattern, fold

# A pattern that takes longer at its triggers, in microseconds for each character, is tried everywhere.
_MOST_COSTLY = 0.045
# A stretch of so few places is not made shorter.
_NEAR = 6
# To try each place takes this many times as long as to search.
_SLOWER = 4
# A text of fewer characters is read by each pattern as fast as by the automaton.
_SHORT = 100
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+")


class Pattern:
    """A regular expression of a set. It is compiled when a text first needs it.

    Attributes:
        source: the regular expression.
        flags: its flags.
    """

    def __init__(self, owner: PatternSet, source: str, flags: int, core: str) -> None:
        self._owner = owner
        self.source = source
        self.flags = flags
        self._core = core

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The plain pattern."""
        return compile_pattern(self.source, int(self.flags))

    @cached_property
    def shape(self) -> Shape:
        """What it matches."""
        return read_pattern(self.source, int(self.flags))

    @cached_property
    def trigger(self) -> Trigger | None:
        """What every match contains, if that is rare."""
        shape = self.shape
        rare = shape.trigger and not shape.trigger.is_frequent and shape.trigger.cost < _MOST_COSTLY
        return shape.trigger if rare and shape.least else None

    @cached_property
    def core(self) -> Pattern | None:
        """The pattern of a part of it."""
        return Pattern(self._owner, self._core, self.flags, "") if self._core else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the matches in `text` as `re.finditer` does."""
        if len(text) < _SHORT:
            return self.compiled.finditer(text)
        if self.core:
            starts = list(self.core.list_starts(text))
            return self._search(text, _list_stretches(text, starts, _WITHIN_LINE))
        if self.trigger is None:
            return self.compiled.finditer(text)
        places = self._owner.find_places(text, self)
        if not places:
            return iter(())
        if self.trigger.least == self.trigger.most:
            return self._match_at(text, places, self.trigger.least)
        return self._search(text, _list_stretches(text, places, self.trigger))

    def list_starts(self, text: str) -> Iterator[int]:
        """Yield every place where a match begins, whether or not it overlaps another."""
        if self.trigger is None:
            return (m.start() for m in re.compile(f"(?={self.source})", self.flags).finditer(text))
        found = self._owner.find_places(text, self)
        stretches = _list_stretches(text, found, self.trigger)
        match_at = self.compiled.match
        return (p for first, last in stretches for p in range(first, last + 1) if match_at(text, p))

    def _match_at(self, text: str, places: Iterable[int], before: int) -> Iterator[re.Match[str]]:
        done, match_at = 0, self.compiled.match
        for place in places:
            start = place - before
            if start >= done and (match := match_at(text, start)):
                yield match
                done = match.end()

    def _search(self, text: str, stretches: Iterable[tuple[int, int]]) -> Iterator[re.Match[str]]:
        done, match_at = 0, self.compiled.match
        for first, last in stretches:
            if first < done:
                first = done
            end = _find_end(text, last, self.shape) if last - first >= FEW else 0
            # A search goes on to its end if it finds nothing.
            if not end or end - first > _SLOWER * (last - first):
                for place in range(first, last + 1):
                    if place >= done and (match := match_at(text, place)):
                        yield match
                        done = match.end()
                continue
            for match in self.compiled.finditer(text, first, end):
                # The end of the stretch may have cut a match that begins after it.
                if match.start() > last:
                    break
                yield match
                done = match.end()


class PatternSet:
    """Patterns that read the same texts, so that one pass over a text serves them all."""

    def __init__(self) -> None:
        self._patterns: list[Pattern] = []
        self._index: _Index | None = None
        # All patterns read one text before the next.
        self._find_all = lru_cache(maxsize=2)(self._read_text)

    def compile(self, source: str, flags: int = 0, core: str = "") -> Pattern:
        """Return a new pattern of the set.

        Args:
            source: the regular expression.
            flags: its flags.
            core: a part of it, of which every match contains one that begins on the match's first line. The
                pattern is tried only on lines that have one.
        """
        pattern = Pattern(self, source, flags, core)
        self._patterns.append(pattern)
        return pattern

    @property
    def patterns(self) -> Sequence[Pattern]:
        """All patterns so far."""
        return self._patterns

    def find_places(self, text: str, pattern: Pattern) -> Sequence[int]:
        """Return where the strings of the trigger of a pattern stand in a text, sorted."""
        index, places = self._find_all(text, len(self._patterns))
        number = index.numbers[pattern]
        return _merge(text, index.triggers[number], places[number])

    def _read_text(self, text: str, size: int) -> tuple[_Index, Sequence[Sequence[int]]]:
        index = self._index
        if index is None or index.size != size:
            self._index = index = _build_index(self._patterns[:size])
        places: list[list[int]] = [[] for _ in index.triggers]
        for folded, automaton in index.automata:
            for end, (length, numbers) in automaton.iter(_fold(text) if folded else text):
                for number in numbers:
                    places[number].append(end - length + 1)
        return index, places


@lru_cache(maxsize=4)  # several sets read one text after the other
def _find_digits(text: str) -> Sequence[int]:
    return [m.start() for m in _DIGIT.finditer(text)]


@lru_cache(maxsize=4)
def _find_numbers(text: str) -> Sequence[int]:
    return [m.start() for m in _NUMBER.finditer(text)]


@lru_cache(maxsize=2)
def _fold(text: str) -> str:
    return fold(text)


class _Index(NamedTuple):
    """The automata of a set.

    Attributes:
        size: the number of patterns.
        triggers: their triggers.
        numbers: the number of each pattern's trigger.
        automata: for the strings with case and for the folded ones, each with the numbers of its triggers.
    """

    size: int
    triggers: Sequence[Trigger]
    numbers: Mapping[Pattern, int]
    automata: Sequence[tuple[bool, Any]]


def _build_index(patterns: Sequence[Pattern]) -> _Index:
    read = [pattern.core or pattern for pattern in patterns]
    shapes = read_shapes([(pattern.source, pattern.flags) for pattern in read])
    for pattern, shape in zip(read, shapes, strict=True):
        pattern.shape = shape
    triggers = list(dict.fromkeys(pattern.trigger for pattern in read if pattern.trigger))
    number_of = {trigger: number for number, trigger in enumerate(triggers)}
    automata: list[tuple[bool, Any]] = []
    for folded in (False, True):
        wanting: dict[str, list[int]] = {}
        for number, trigger in enumerate(triggers):
            if trigger.folded == folded:
                for string in trigger.strings:
                    wanting.setdefault(string, []).append(number)
        if wanting:
            automaton = ahocorasick.Automaton()
            for string, wanted in wanting.items():
                automaton.add_word(string, (len(string), tuple(wanted)))
            automaton.make_automaton()
            automata.append((folded, automaton))
    numbers = {pattern: number_of[pattern.trigger] for pattern in read if pattern.trigger}
    return _Index(len(patterns), triggers, numbers, automata)


def _merge(text: str, trigger: Trigger, places: Sequence[int]) -> Sequence[int]:
    """Return all places of a trigger, sorted."""
    digits: Sequence[int] = ()
    if trigger.digits:
        digits = _find_numbers(text) if trigger.first else _find_digits(text)
    if not places and trigger.least >= 0:
        return digits
    start = (-1,) if trigger.least < 0 else ()
    return sorted({*start, *places, *digits})


_WITHIN_LINE = Trigger(frozenset(), False, False, 0, INFINITE, INFINITE, 0)


def _list_stretches(text: str, places: Iterable[int], trigger: Trigger) -> Iterator[tuple[int, int]]:
    """Yield the first and the last place of each stretch where a match with the trigger may begin."""
    held: tuple[int, int] | None = None
    least, most = trigger.least, trigger.most
    for place in places:
        last = place - least
        if last < 0:
            continue
        floor = held[1] if held else 0
        first = place - most if most <= _NEAR else _find_start(text, place, trigger, floor)
        if first < floor:
            first = floor
        if held and first <= held[1] + 1:
            held = (held[0], last)
            continue
        if held:
            yield held
        held = (first, last)
    if held:
        yield held


def _find_start(text: str, place: int, trigger: Trigger, floor: int) -> int:
    """Return where a match may begin whose trigger is at `place`; `floor` if that is before it."""
    start = max(floor, place - trigger.most)
    if place - start <= _NEAR:
        return start
    for mark, most in (("\n", trigger.lines), (" ", trigger.spaces)):
        if most < INFINITE:
            found = place
            for _ in range(most + 1):
                found = text.rfind(mark, start, found)
                if found < 0:
                    break
            start = max(start, found + 1)
    return start


def _find_end(text: str, last: int, shape: Shape) -> int:
    """Return how much of a text a match that begins at `last` or before can look at.

    One character more is given, so that the end is not the end of the text for "$".
    """
    if shape.reach < INFINITE:
        return min(len(text), last + shape.reach + 2)
    if shape.seen >= INFINITE:
        return len(text)
    place = last - 1
    for _ in range(shape.seen + 1):
        place = text.find("\n", place + 1)
        if place < 0:
            return len(text)
    return min(len(text), place + 2)
