"""Patterns of citations, each tried only on a text that contains a word which every match needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import Any, NamedTuple

import ahocorasick

from lexveil.nlp.letters import UPPER
from lexveil.nlp.patterns.triggers import Pattern, PatternSet

Range = tuple[int, int]

# Words of French, Spanish, Italian, Portuguese, Dutch, Polish, Serbian and Croatian that are not English and
# begin no names.
_FOREIGN = frozenset(
    """
    les et une un dans par que qui sur pour est aux au avec été cette ses ont il elle sont ce sa en
    los las con por una lo su al como para fue ha es sus según entre más sin
    gli della dei delle dello degli che nel nella alla sono è ai sua suo dal dalla sul
    si deve os ao um uma não pelo pela em na com foi seu são à nos nas aos rege
    het een dat niet voor aan zijn wordt heeft bij op te tegen dit deze worden werd hebben haar
    w z i nie się jest przez oraz że ze od dla po za
    je u da iz ovo
    је у и на да се су од за из са
    """.split()  # noqa: SIM905
)
_FAMILIAR = frozenset(
    """
    the of and to was that with for by is has had not from his her were who which this at on
    der die das und den dem ist nicht mit von vom im zu auf ein eine wird wurde hat dass sich zum zur
    """.split()  # noqa: SIM905
)
# Words of these languages that also occur in names in English texts: two of them count as one.
_PARTICLES = frozenset("de la le del da di du dos das do el van e o y".split())  # noqa: SIM905
# Letters that English and German lack: a word with one counts unless it is capitalized.
_FOREIGN_LETTER = re.compile("[áàâãåæçéèêëíìîïñóòôõøœúùûýąćčďđęěğıłńňřśšťůžźż]")
_AROUND = 300
_LOWER_WORD = re.compile(r"(?<![\w.'’-])[^\W\d_]+(?![\w.])")

LAW = PatternSet()
"""The patterns of citations."""
_MADE: dict[str, Pattern] = {}

_CAPITALS = re.compile(rf"(?<!\w)[{UPPER}]{{3,}}(?:[ '’-][{UPPER}ªº]+)+(?!\w)")
_WORD_IN_CAPITALS = re.compile(r"[^\W\d_]+")
_CONNECTING = _FOREIGN | frozenset(
    "de du des la le d l del los el y e di da do das dos o a no van der we".split()  # noqa: SIM905
)


class Rule(NamedTuple):
    """A pattern of citations.

    It is compiled when a text needs it: those of all languages together take half a second.

    Attributes:
        needs: every match contains one of these words; looking for a word is a hundred times as fast as
            trying the pattern.
        also: if given, every match contains one of these, too.
        foreign: the rule applies only amid words of French, Dutch and the like: elsewhere, Cass and Wet are
            surnames.
    """

    needs: tuple[str, ...]
    pattern: str
    also: tuple[str, ...] = ()
    foreign: bool = False


def make_rule(pattern: str, *needs: str, also: tuple[str, ...] = (), foreign: bool = False) -> Rule:
    """Return the rule of a regular expression whose matches contain one of `needs`."""
    return Rule(needs, pattern, also, foreign)


def find_in_capitals(rules: Sequence[Rule], text: str) -> Iterator[Range]:
    """Yield what the rules match in lines with words in capitals, read as a sentence.

    The rules are written for sentences: "COUR DE CASSATION" is read as "Cour de Cassation".
    """
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
    rules = tuple(rules)
    words = {word for _, word in _build_finder(rules).iter(text)}
    # All are compiled before any is used: the set is read anew when it has grown.
    needed = [(_compile(rule), rule.foreign) for rule in rules if _is_needed(rule, words)]
    for pattern, foreign in needed:
        for match in pattern.finditer(text):
            if not foreign or _is_amid_foreign_words(text, *match.span()):
                yield match.span()


@lru_cache(maxsize=8)
def _build_finder(rules: Sequence[Rule]) -> Any:
    """Return an automaton that finds the words of all rules in one pass."""
    finder = ahocorasick.Automaton()
    for rule in rules:
        for word in (*rule.needs, *rule.also):
            finder.add_word(word, word)
    finder.make_automaton()
    return finder


def _is_needed(rule: Rule, words: Set[str]) -> bool:
    also = not rule.also or not words.isdisjoint(rule.also)
    return also and not words.isdisjoint(rule.needs)


def _is_amid_foreign_words(text: str, start: int, end: int) -> bool:
    """Return True if the words around a range are of a continental language rather than English or German."""
    foreign, familiar = 0.0, 0
    for word in _LOWER_WORD.findall(text, max(0, start - _AROUND), min(end + _AROUND, len(text))):
        if word in _FOREIGN or (word[0].islower() and _FOREIGN_LETTER.search(word)):
            foreign += 1
        elif word in _PARTICLES:
            foreign += 0.5
        familiar += word in _FAMILIAR
    return foreign >= 1 and foreign > familiar


def _compile(rule: Rule) -> Pattern:
    if rule.pattern not in _MADE:
        _MADE[rule.pattern] = LAW.compile(rule.pattern)
    return _MADE[rule.pattern]
