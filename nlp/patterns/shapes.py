"""What the syntax tree of a regular expression says of its matches.

It gives their lengths, how far they look, and a trigger: strings of which every match contains one, and how
far from its beginning they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from lexveil.nlp.patterns.frequencies import DIGIT_SHARE, NUMBER_SHARE, estimate_share
from lexveil.nlp.patterns.syntax import STAND_INS, fold

INFINITE = 1 << 30
# More strings than this, and larger classes, are not listed one by one.
_MOST_STRINGS = 400
_MOST_PRODUCTS = 600
# Of too many strings, so many characters each are looked for.
_ENOUGH = 8
_MOST_CHARACTERS = 64
_LONGEST_RANGE = 12
# A pattern whose trigger stands at more than this share of all places is tried everywhere.
_MOST_FREQUENT = 0.06
# Places up to this many are tried one by one; more are searched as a stretch.
FEW = 4
_IGNORECASE, _DOTALL, _MULTILINE = map(int, (re.IGNORECASE, re.DOTALL, re.MULTILINE))
_DIGITS = frozenset("0123456789")
# Letters that, without case, match no others than `fold` makes equal.
_FOLDABLE = frozenset(map(chr, (*range(0x80), *range(0xA0, 0xB5), *range(0xB6, 0x100))))
_WORD, _LINE = 6, 300
# What it takes to try a pattern at a place, to list a few places, to begin a search, and to go on by a place,
# in microseconds.
_TRY, _FEW_PLACES, _STRETCH, _SEARCH = 0.15, 0.6, 1.0, 0.03


class Trigger(NamedTuple):
    """Strings of which every match contains one.

    Attributes:
        strings: the strings.
        digits: any digit is one, too.
        folded: the strings are looked for in the folded text.
        least: fewest characters of a match before the string; -1 if it stands before the match.
        most: most characters before it.
        spaces: most spaces before it.
        lines: most line ends before it.
        first: of the digits, only the first of each number counts.
        share: the expected share of a text's places where one stands.
    """

    strings: frozenset[str]
    digits: bool
    folded: bool
    least: int = 0
    most: int = 0
    spaces: int = 0
    lines: int = 0
    first: bool = False
    share: float = 0.0

    @property
    def is_frequent(self) -> bool:
        """True if a pattern that tries all its places is no faster."""
        return self.share >= _MOST_FREQUENT

    @property
    def cost(self) -> float:
        """Return the expected time for each character of a text, in microseconds."""
        places = min(
            self.most - self.least + 1, _WORD * (self.spaces + 1), _LINE * (self.lines + 1), INFINITE
        )
        share = self.share - self.first * (DIGIT_SHARE - NUMBER_SHARE)
        if places == 1:
            return share * _TRY
        return share * (_FEW_PLACES + _TRY * places if places <= FEW else _STRETCH + _SEARCH * places)

    def shift(self, before: Shape) -> Trigger:
        """Return the trigger of a pattern with something before this one."""
        return self._replace(
            least=self.least + before.least,
            most=_add(self.most, before.most),
            spaces=_add(self.spaces, before.spaces),
            lines=_add(self.lines, before.lines),
        )


_LINE_START = Trigger(frozenset("\n"), False, False, -1, -1, share=estimate_share("\n"))
"""The line end before a match, or the beginning of the text."""
_EMPTY = frozenset({""})


class Shape(NamedTuple):
    """What a part of a pattern matches.

    Attributes:
        least: fewest characters.
        most: most characters.
        spaces: most spaces among them.
        lines: most line ends among them.
        reach: most characters that it looks at, with those after the match.
        seen: most line ends among these.
        strings: all strings that it matches, if they are few.
        folded: the strings are folded.
        trigger: the best trigger, if there is any.
        needed: every match contains the trigger; otherwise only those that are not empty.
    """

    least: int = 0
    most: int = 0
    spaces: int = 0
    lines: int = 0
    reach: int = 0
    seen: int = 0
    strings: frozenset[str] | None = _EMPTY
    folded: bool = False
    trigger: Trigger | None = None
    needed: bool = True


_ANYTHING = Shape(0, INFINITE, INFINITE, INFINITE, INFINITE, INFINITE, None)


def read_shape(tree: Any) -> Shape:
    """Return what a syntax tree of `lexveil.nlp.patterns.syntax.parse` matches."""
    if tree is None:
        return _ANYTHING
    items = list(tree)
    shape = _read_sequence(items, int(tree.state.flags))
    trigger = shape.trigger
    # A match that begins before a number reaches its first digit, too; one that begins within it is none.
    if trigger and trigger.digits and trigger.least == 0 and _begins_word(items):
        return shape._replace(trigger=trigger._replace(first=True))
    return shape


def _begins_word(items: Iterable[tuple[Any, Any]]) -> bool:
    """Return True if no match of a pattern begins with a digit after another."""
    for operation, argument in items:
        kind = operation.name
        if kind == "AT" and str(argument) == "AT_BOUNDARY":
            return True
        if kind == "BRANCH":
            return all(map(_begins_word, argument[1]))
        if kind == "SUBPATTERN":
            return _begins_word(argument[3])
        if kind not in ("ASSERT", "ASSERT_NOT") or argument[0] > 0:
            return False
        before = list(argument[1])
        if _matches_digits(before) if kind == "ASSERT_NOT" else _is_other_character(before):
            return True
    return False


def _is_other_character(items: Sequence[tuple[Any, Any]]) -> bool:
    """Return True if the last character that the items match is one that is no digit."""
    return bool(items) and items[-1][0].name == "LITERAL" and not chr(items[-1][1]).isdecimal()


def _matches_digits(items: Sequence[tuple[Any, Any]]) -> bool:
    if len(items) != 1 or str(items[0][0]) != "IN":
        return False
    kinds = [(str(kind), value) for kind, value in items[0][1]]
    return all(_has(kinds, ord(digit)) for digit in (*_DIGITS, "٣"))


def _read_sequence(items: Iterable[tuple[Any, Any]], flags: int) -> Shape:
    return _join_parts(tuple(_read_parts(items, flags)))


@lru_cache(maxsize=1 << 12)
def _join_parts(parts: Sequence[Shape]) -> Shape:
    whole = strings = Shape()
    for part in parts:
        whole, strings = _append(whole, part), _join(strings, part)
    trigger: Trigger | None = None
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        # Of equals, the first: before a string at the beginning, no place is tried in vain.
        candidates = [_read_run(parts, index), trigger.shift(part) if trigger else None]
        if part.trigger and part.needed:
            candidates.insert(0, part.trigger)
        elif part.trigger and trigger:
            candidates.append(_unite_triggers([part.trigger, trigger]))
        trigger = min((c for c in candidates if c), key=_rank, default=None)
    return whole._replace(strings=strings.strings, folded=strings.folded, trigger=trigger)


def _read_parts(items: Iterable[tuple[Any, Any]], flags: int) -> Iterator[Shape]:
    """Yield the shapes of the items; adjacent characters are one."""
    characters: list[str] = []
    for operation, argument in items:
        if operation.name == "LITERAL" and _is_listed(argument, flags):
            characters.append(chr(argument))
            continue
        if characters:
            yield _read_word("".join(characters), bool(flags & _IGNORECASE))
            characters.clear()
        yield _read_item(operation.name, argument, flags)
    if characters:
        yield _read_word("".join(characters), bool(flags & _IGNORECASE))


def _is_listed(code: int, flags: int) -> bool:
    """Return True if a character stands for itself alone, or for those that `fold` makes equal to it."""
    return code not in STAND_INS and (not flags & _IGNORECASE or chr(code) in _FOLDABLE)


@lru_cache(maxsize=1 << 12)
def _read_word(word: str, folded: bool) -> Shape:
    length, lines = len(word), word.count("\n")
    strings = frozenset({fold(word) if folded else word})
    return Shape(length, length, word.count(" "), lines, length, lines, strings, folded)


def _read_run(parts: Sequence[Shape], index: int) -> Trigger | None:
    """Return the strings of the parts from an index on, as far as they can be listed."""
    if parts[index].strings is None or parts[index].strings == _EMPTY:
        return None
    run = last = parts[index]
    for part in parts[index + 1 :]:
        last, run = run, _join(run, part)
        if run.strings is None:
            run = last
            break
    first, whole = _to_trigger(parts[index]), _to_trigger(run)
    return min((one for one in (first, whole) if one), key=lambda one: one.share, default=None)


def _rank(trigger: Trigger) -> tuple[bool, float]:
    return trigger.is_frequent, trigger.cost


def _to_trigger(run: Shape) -> Trigger | None:
    strings = run.strings
    if not strings or "" in strings:
        return None
    numbers = [string for string in strings if string[0] in _DIGITS]
    # The digit alone is nearly as good.
    if len(numbers) > _LONGEST_RANGE or any(len(number) == 1 for number in numbers):
        others = strings.difference(numbers)
        share = sum(map(estimate_share, others)) + DIGIT_SHARE
        return Trigger(others, True, run.folded and bool(others), share=share)
    return Trigger(strings, False, run.folded, share=sum(map(estimate_share, strings)))


def _append(first: Shape, second: Shape) -> Shape:
    return Shape(
        first.least + second.least,
        _add(first.most, second.most),
        _add(first.spaces, second.spaces),
        _add(first.lines, second.lines),
        max(first.reach, _add(first.most, second.reach)),
        max(first.seen, _add(first.lines, second.seen)),
    )


def _join(first: Shape, second: Shape) -> Shape:
    """Return the strings of two parts that follow each other."""
    if first.strings is None or second.strings is None:
        return Shape(strings=None)
    if len(first.strings) * len(second.strings) > _MOST_STRINGS:
        return Shape(strings=None)
    folded = first.folded or second.folded
    strings = frozenset(a + b for a in first.strings for b in second.strings)
    return Shape(strings=_fold_all(strings) if folded else strings, folded=folded)


@lru_cache(maxsize=1 << 10)
def _unite(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of alternatives."""
    folded = any(shape.folded for shape in shapes)
    strings: frozenset[str] | None = None
    if all(shape.strings is not None for shape in shapes):
        strings = frozenset(string for shape in shapes for string in shape.strings or ())
        strings = None if len(strings) > _MOST_STRINGS else _fold_all(strings) if folded else strings
    triggers = [shape.trigger for shape in shapes if shape.trigger]
    return Shape(
        min(shape.least for shape in shapes),
        max(shape.most for shape in shapes),
        max(shape.spaces for shape in shapes),
        max(shape.lines for shape in shapes),
        max(shape.reach for shape in shapes),
        max(shape.seen for shape in shapes),
        strings,
        folded and strings is not None,
        _unite_triggers(triggers) if len(triggers) == len(shapes) else None,
    )


def _unite_triggers(triggers: Sequence[Trigger]) -> Trigger | None:
    strings = frozenset(string for trigger in triggers for string in trigger.strings)
    digits = any(trigger.digits for trigger in triggers)
    share = sum(trigger.share - DIGIT_SHARE * trigger.digits for trigger in triggers)
    if len(strings) > 2 * _MOST_STRINGS:
        strings = frozenset(string[:_ENOUGH] for string in strings)
        share = sum(map(estimate_share, strings))
    if len(strings) > 2 * _MOST_STRINGS:
        return None
    folded = any(trigger.folded for trigger in triggers)
    return Trigger(
        _fold_all(strings) if folded else strings,
        digits,
        folded,
        min(trigger.least for trigger in triggers),
        max(trigger.most for trigger in triggers),
        max(trigger.spaces for trigger in triggers),
        max(trigger.lines for trigger in triggers),
        share=share + DIGIT_SHARE * digits,
    )


def _read_item(operation: str, argument: Any, flags: int) -> Shape:
    reader = _READERS.get(operation)
    return reader(argument, flags) if reader else _ANYTHING


def _read_literal(code: int, flags: int) -> Shape:
    if code in STAND_INS:
        return _one(False, False, None, flags)
    return _one(code == 32, code == 10, [chr(code)], flags)


def _read_other(code: int, flags: int) -> Shape:
    return _one(code != 32, code != 10, None, flags)


def _read_any(_: Any, flags: int) -> Shape:
    return _one(True, bool(flags & _DOTALL), None, flags)


def _read_class(items: list[tuple[Any, Any]], flags: int) -> Shape:
    return _read_characters(tuple(items), flags & _IGNORECASE)


@lru_cache(maxsize=256)
def _read_characters(items: tuple[tuple[Any, Any], ...], flags: int) -> Shape:
    kinds = [(str(kind), value) for kind, value in items]
    shape = _one(_has(kinds, 32), _has(kinds, 10), None, flags)
    if kinds[0][0] == "NEGATE":
        return shape
    codes = _list_codes(kinds)
    if codes is not None:
        return _one(_has(kinds, 32), _has(kinds, 10), [chr(code) for code in codes], flags)
    others = _list_codes([one for one in kinds if not _is_digit(*one)])
    if others is None:
        return shape
    listed = _one(False, False, [chr(code) for code in others], flags)
    if listed.strings is None:
        return shape
    share = sum(map(estimate_share, listed.strings)) + DIGIT_SHARE
    return shape._replace(trigger=Trigger(listed.strings, True, bool(others) and listed.folded, share=share))


def _list_codes(kinds: Sequence[tuple[str, Any]]) -> list[int] | None:
    """Return the characters of a class if they are few."""
    if len(kinds) > _MOST_CHARACTERS:
        return None
    codes: list[int] = []
    for kind, value in kinds:
        if kind == "LITERAL" and value not in STAND_INS:
            codes.append(value)
        elif kind == "RANGE" and value[1] - value[0] < _LONGEST_RANGE:
            codes += range(value[0], value[1] + 1)
        else:
            return None
    return codes


def _is_digit(kind: str, value: Any) -> bool:
    if kind == "CATEGORY":
        return str(value) == "CATEGORY_DIGIT"
    if kind == "RANGE":
        return value[0] >= 48 and value[1] <= 57
    return kind == "LITERAL" and 48 <= value <= 57


def _has(kinds: Sequence[tuple[str, Any]], code: int) -> bool:
    """Return True if a class matches a character."""
    inside = any(
        (kind == "LITERAL" and value == code)
        or (kind == "RANGE" and value[0] <= code <= value[1])
        or (kind == "CATEGORY" and _CATEGORIES[str(value)](chr(code)))
        for kind, value in kinds
    )
    return inside != (kinds[0][0] == "NEGATE")


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda c: not c.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda c: not c.isspace(),
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
    "CATEGORY_NOT_WORD": lambda c: not (c.isalnum() or c == "_"),
}


def _one(space: bool, line_end: bool, characters: Sequence[str] | None, flags: int) -> Shape:
    """Return the shape of one character."""
    strings = frozenset(characters) if characters is not None else None
    folded = bool(flags & _IGNORECASE) and strings is not None
    if strings and folded:
        strings = _fold_all(strings) if strings <= _FOLDABLE else None
    return Shape(1, 1, int(space), int(line_end), 1, int(line_end), strings, folded and strings is not None)


def _read_branch(argument: tuple[Any, Sequence[Any]], flags: int) -> Shape:
    return _unite(tuple(_read_sequence(alternative, flags) for alternative in argument[1]))


def _read_group(argument: tuple[Any, int, int, Any], flags: int) -> Shape:
    _, added, removed, items = argument
    return _read_sequence(items, (flags | added) & ~removed)


def _read_atomic(items: Any, flags: int) -> Shape:
    return _read_sequence(items, flags)


def _read_repeat(argument: tuple[int, Any, Any], flags: int) -> Shape:
    least, most, items = argument
    most = INFINITE if int(most) >= INFINITE else int(most)
    part = _read_sequence(items, flags)
    strings = _repeat_strings(part.strings, least, most)
    return Shape(
        part.least * least,
        _multiply(part.most, most),
        _multiply(part.spaces, most),
        _multiply(part.lines, most),
        _add(_multiply(part.most, max(0, most - 1)), part.reach),
        _add(_multiply(part.lines, max(0, most - 1)), part.seen),
        strings,
        part.folded and strings is not None,
        part.trigger,
        least > 0,
    )


@lru_cache(maxsize=1 << 10)
def _repeat_strings(once: frozenset[str] | None, least: int, most: int) -> frozenset[str] | None:
    if once is None or most > 4:
        return None
    repeated = {""} if not least else set[str]()
    strings = {""}
    for number in range(1, most + 1):
        if len(strings) * len(once) > _MOST_PRODUCTS:
            return None
        strings = {a + b for a in strings for b in once}
        if number >= least:
            repeated |= strings
    return frozenset(repeated) if len(repeated) <= _MOST_STRINGS else None


def _read_look(argument: tuple[int, Any], flags: int) -> Shape:
    direction, items = argument
    if direction < 0:
        return Shape()
    part = _read_sequence(items, flags)
    return Shape(reach=part.reach, seen=part.seen, trigger=part.trigger)


def _read_look_not(argument: tuple[int, Any], flags: int) -> Shape:
    return _read_look(argument, flags)._replace(trigger=None)


def _read_position(position: Any, flags: int) -> Shape:
    line = flags & _MULTILINE and str(position) == "AT_BEGINNING"
    return Shape(trigger=_LINE_START if line else None)


_READERS = {
    "LITERAL": _read_literal,
    "NOT_LITERAL": _read_other,
    "ANY": _read_any,
    "IN": _read_class,
    "BRANCH": _read_branch,
    "SUBPATTERN": _read_group,
    "ATOMIC_GROUP": _read_atomic,
    "MAX_REPEAT": _read_repeat,
    "MIN_REPEAT": _read_repeat,
    "POSSESSIVE_REPEAT": _read_repeat,
    "ASSERT": _read_look,
    "ASSERT_NOT": _read_look_not,
    "AT": _read_position,
}


def _add(first: int, second: int) -> int:
    return min(INFINITE, first + second)


def _multiply(first: int, times: int) -> int:
    return min(INFINITE, first * times)


def _fold_all(strings: Iterable[str]) -> frozenset[str]:
    return frozenset(map(fold, strings))
