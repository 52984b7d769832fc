"""TODO docstring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

NEAR_SHORT, _NEAR_LONG = 5, 8

MOST_NEAR_NAMES = 20_000


class NearIndex:
    """Names by all that is left of them when a letter or two are taken out: linear in what is looked up."""

    def __init__(self, names: Sequence[str]) -> None:
        self._by_rest: dict[str, list[str]] = {}
        for name in names:
            for rest in _rests(name):
                self._by_rest.setdefault(rest, []).append(name)

    def near(self, word: str) -> bool:
        return any(
            _within(word, name, _tolerance(min(len(word), len(name))))
            for rest in _rests(word)
            for name in self._by_rest.get(rest, ())
        )


def _tolerance(length: int) -> int:
    return 2 if length >= _NEAR_LONG else 1 if length >= NEAR_SHORT else 0


def _rests(word: str) -> set[str]:
    found = {word}
    for most in range(1, _tolerance(len(word)) + 1):
        for places in combinations(range(len(word)), most):
            found.add("".join(c for place, c in enumerate(word) if place not in places))
    return found


def _within(a: str, b: str, most: int) -> bool:
    """Whether the edit distance (Damerau-Levenshtein, adjacent letters) is at most `most`."""
    if abs(len(a) - len(b)) > most:
        return False
    two_back: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, two_back[j - 2] + 1)
            row.append(cost)
        two_back, last = last, row
    return last[-1] <= most
