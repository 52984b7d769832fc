"""Patterns of citations, each tried only on a text that contains a word which every match needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Range = tuple[int, int]


class Rule(NamedTuple):
    """A pattern of citations.

    Attributes:
        needs: every match contains one of these words; looking for a word is a hundred times as fast as
            trying the pattern.
    """

    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def compile_rule(pattern: str, *needs: str) -> Rule:
    """Return the rule of a regular expression whose matches contain one of `needs`."""
    return Rule(needs, re.compile(pattern))


def find_ranges(rules: Iterable[Rule], text: str) -> Iterator[Range]:
    """Yield the ranges of `text` that any of the rules matches."""
    for needs, pattern in rules:
        if any(word in text for word in needs):
            for match in pattern.finditer(text):
                yield match.span()
