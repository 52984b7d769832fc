"""Regular expressions parsed and compiled as `re` does, but each large class once for all patterns.

The capital letters of many alphabets are hundreds of single characters. A pattern of names has a dozen such
classes, and `re` reads each of them anew and draws a map of 65,536 characters for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from lexveil.nlp.letters import LOWER, UPPER

# Characters that stand for letters in a class while a pattern is parsed. They are no characters of any text.
_LETTERS = {"\ufdd0": UPPER, "\ufdd1": LOWER}
STAND_INS = frozenset(map(ord, _LETTERS))
"""Codes of the characters that stand for classes of letters in a tree."""
# Turkish I, the long s, and sigma, which has two small forms.
_FOLD = (("\u0130", "i"), ("\u0131", "i"), ("\u017f", "s"), ("\u03a3", "\u03c3"), ("\u03c2", "\u03c3"))


def parse(source: str, flags: int) -> Any:
    """Return the syntax tree of a pattern, or None if this Python has another parser.

    Raises:
        re.error: it is no regular expression.
    """
    try:
        from re import _parser  # pyright: ignore

        parser: Any = _parser
        read = parser.parse
    except (ImportError, AttributeError):
        return None
    for stand_in, letters in _LETTERS.items():
        source = source.replace(letters, stand_in)
    return read(source, flags)


@lru_cache(maxsize=1 << 12)
def compile_pattern(source: str, flags: int) -> re.Pattern[str]:
    """Return what `re.compile` returns, except that it does not know its source.

    The sets of several languages share most patterns: each is compiled once.

    Raises:
        re.error: it is no regular expression.
    """
    tree = parse(source, flags)
    if tree is None:
        return re.compile(source, flags)
    from re import _compiler  # pyright: ignore

    compiler: Any = _compiler
    _pack_classes(tree, tree.state.flags)
    return compiler.compile(tree, flags)


def _pack_classes(tree: Any, flags: int) -> None:
    """Replace the classes in a tree by what `re` makes of them."""
    from re import _constants  # pyright: ignore

    constants: Any = _constants
    for index, (operation, argument) in enumerate(tree.data):
        kind = str(operation)
        if kind == "IN":
            tree.data[index] = constants.IN, _pack(tuple(argument), bool(flags & re.IGNORECASE))
        elif kind in ("LITERAL", "NOT_LITERAL") and argument in STAND_INS:
            negation = [(constants.NEGATE, None)] if kind == "NOT_LITERAL" else []
            items = *negation, (constants.LITERAL, argument)
            tree.data[index] = constants.IN, _pack(items, bool(flags & re.IGNORECASE))
        else:
            for part, inner in _list_parts(kind, argument, flags):
                _pack_classes(part, inner)


def _list_parts(kind: str, argument: Any, flags: int) -> Iterator[tuple[Any, int]]:
    """Yield the parts of an operation that are trees, with their flags."""
    if kind == "SUBPATTERN":
        _, added, removed, part = argument
        yield part, (flags | added) & ~removed
    elif kind == "BRANCH":
        yield from ((part, flags) for part in argument[1])
    elif kind == "ATOMIC_GROUP":
        yield argument, flags
    elif isinstance(argument, tuple):  # of a repetition, an assertion or a condition
        yield from ((part, flags) for part in argument if hasattr(part, "data"))


@cache
def _pack(items: tuple[tuple[Any, Any], ...], ignores_case: bool) -> list[tuple[Any, Any]]:
    """Return what `re` makes of a class; without case that depends on more than the class."""
    from re import _compiler, _parser  # pyright: ignore

    compiler: Any = _compiler
    parser: Any = _parser
    whole: list[tuple[Any, Any]] = []
    for operation, argument in items:
        letters = _LETTERS.get(chr(argument)) if argument in STAND_INS else None
        whole += parser.parse(f"[{letters}]")[0][1] if letters else [(operation, argument)]
    return whole if ignores_case else compiler._optimize_charset(whole)[0]


def fold(text: str) -> str:
    """Return the text without case: any two characters that a pattern takes for the same are equal."""
    if not text.isascii():
        for letter, folded in _FOLD:
            text = text.replace(letter, folded)
    return text.lower()
