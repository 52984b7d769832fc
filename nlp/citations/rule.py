"""Patterns of citations, each tried only on a text that contains a word which every match needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from lexveil.nlp.letters import UPPER

Range = tuple[int, int]

# Words that a text in the language has, and a text in English hardly ever.
FRENCH = ("Le ", "La ", " du ", " des ", " la ", " le ", "l'", "d'", " et ")
SPANISH = ("El ", " el ", " los ", " las ", " del ", " la ", " y ")
ITALIAN = ("Il ", "Le ", " e ", " di ", " il ", " del", " la ", " che ")
PORTUGUESE = ("O ", " o ", " e ", " da ", " os ", " ao ", " em ", "ção", " pela ")
DUTCH = ("Het ", "De ", " het ", " van ", " een ", " de ")
POLISH = (" w ", " z ", " nie ", "ą", "ę")
SERBIAN = (" je ", " u ", " na ", "ć", " је ", " у ", " и ")
CONTINENTAL = (*FRENCH, *SPANISH, *ITALIAN, *PORTUGUESE, *DUTCH, *POLISH, *SERBIAN)

_CAPITALS = re.compile(rf"(?<!\w)[{UPPER}]{{3,}}(?:[ '’-][{UPPER}ªº]+)+(?!\w)")
_WORD_IN_CAPITALS = re.compile(r"[^\W\d_]+")
_CONNECTING = frozenset(
    """
    de du des la le les d l et en sur aux au del los las el y e di della dello dei degli delle da do das dos
    o a no na van het der te w we z i u za op voor
    """.split()  # noqa: SIM905
)


class Rule(NamedTuple):
    """A pattern of citations.

    It is compiled when a text needs it: those of all languages together take half a second.

    Attributes:
        needs: every match contains one of these words; looking for a word is a hundred times as fast as
            trying the pattern.
        also: if given, every text with a match contains one of these, too: common words of a language, say.
    """

    needs: tuple[str, ...]
    pattern: str
    also: tuple[str, ...] = ()


def compile_rule(pattern: str, *needs: str, also: tuple[str, ...] = ()) -> Rule:
    """Return the rule of a regular expression whose matches contain one of `needs`."""
    return Rule(needs, pattern, also)


def find_in_capitals(rules: Sequence[Rule], text: str) -> Iterator[Range]:
    """Yield what the rules match in lines with words in capitals, read as a sentence.

    The rules are written for sentences: "COUR DE CASSATION" is read as "Cour de Cassation".
    """
    if not any(word in text for word in (*CONTINENTAL, *(word.upper() for word in CONTINENTAL))):
        return
    done = 0
    for run in _CAPITALS.finditer(text):
        if run.start() < done:
            continue
        first, stop = text.rfind("\n", 0, run.start()) + 1, text.find("\n", run.end())
        done = len(text) if stop < 0 else stop
        lowered = _CAPITALS.sub(_lower_words, text[first:done])
        for start, end in find_ranges(rules, lowered):
            yield first + start, first + end


def _lower_words(run: re.Match[str]) -> str:
    return _WORD_IN_CAPITALS.sub(_lower, run.group())


def _lower(word: re.Match[str]) -> str:
    shown = word.group()
    lowered = shown.lower()
    if len(lowered) != len(shown):
        return shown
    return lowered if lowered in _CONNECTING else shown[0] + lowered[1:]


def find_ranges(rules: Iterable[Rule], text: str) -> Iterator[Range]:
    """Yield the ranges of `text` that any of the rules matches."""
    for needs, pattern, also in rules:
        if any(word in text for word in needs) and (not also or any(word in text for word in also)):
            for match in _compile(pattern).finditer(text):
                yield match.span()


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
