"""One pattern of a citation, tried only where the text holds a word that every match needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Range = tuple[int, int]


class Rule(NamedTuple):
    """`needs`: a match holds one of these; looking for a word is a hundred times as fast as a pattern."""

    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def rule(pattern: str, *needs: str) -> Rule:
    return Rule(needs, re.compile(pattern))


def matches(rules: Iterable[Rule], text: str) -> Iterator[Range]:
    """Where any of the rules matches; the group "law" alone where a pattern has one."""
    for needs, pattern in rules:
        if any(word in text for word in needs):
            group = "law" if "law" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                yield match.span(group)
