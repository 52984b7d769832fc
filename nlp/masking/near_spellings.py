"""Index of names that finds words within a small edit distance."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import repeat

import numpy as np

SHORTEST_NEAR = 5
"""Words of fewer letters have no near spellings; from this length on, one edit is tolerated."""

_TWO_EDITS = 8

# A longer word is not a name, and its remainders would take cubic time.
_LONGEST_NEAR = 64

MOST_NEAR_NAMES = 20_000
"""Largest number of names that an index should hold."""


class NearIndex:
    """Names by what remains when one or two letters are deleted: time is linear in the words looked up."""

    def __init__(self, names: Sequence[str]) -> None:
        """Index folded names."""
        self._names = [name for name in names if len(name) <= _LONGEST_NEAR]
        # Hashes with the number of their name: as strings, the remainders of a large document's names take
        # more memory than the document. Two remainders with one hash add a name that is not near.
        hashes, numbers = array("q"), array("i")
        for number, name in enumerate(self._names):
            remainders = _list_remainders(name)
            hashes.extend(map(hash, remainders))
            numbers.extend(repeat(number, len(remainders)))
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._numbers = np.frombuffer(numbers, np.int32)[order]

    def has_near(self, word: str) -> bool:
        """Return True if a name is spelled like `word`, or nearly.

        One edit is tolerated in words of `SHORTEST_NEAR` letters or more, two edits in words of eight or
        more. An edit inserts, deletes or replaces a letter, or swaps two adjacent ones. Words of more than 64
        letters have no near spellings.
        """
        if len(word) > _LONGEST_NEAR:
            return False
        wanted = np.fromiter(map(hash, _list_remainders(word)), np.int64)
        first, last = (np.searchsorted(self._hashes, wanted, side) for side in ("left", "right"))
        numbers = {
            int(number)
            for start, end in zip(first[first < last], last[first < last], strict=True)
            for number in self._numbers[start:end]
        }
        return any(
            _is_within(word, name, _tolerance(min(len(word), len(name))))
            for name in (self._names[number] for number in numbers)
        )


def _tolerance(length: int) -> int:
    return 2 if length >= _TWO_EDITS else 1 if length >= SHORTEST_NEAR else 0


def _list_remainders(word: str) -> set[str]:
    tolerance = _tolerance(len(word))
    shorter = {word[:i] + word[i + 1 :] for i in range(len(word))} if tolerance else set[str]()
    shortest = {one[:i] + one[i + 1 :] for one in shorter for i in range(len(one))} if tolerance > 1 else ()
    return {word, *shorter, *shortest}


def _is_within(a: str, b: str, most: int) -> bool:
    """Return True if the edit distance (Damerau-Levenshtein, adjacent letters) is at most `most`."""
    if abs(len(a) - len(b)) > most:
        return False
    second_last: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, second_last[j - 2] + 1)
            row.append(cost)
        second_last, last = last, row
    return last[-1] <= most
