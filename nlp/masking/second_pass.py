"""An independent look at masked text: is anything of what was masked still there?

It reads the output only, cut where something was replaced, and searches it for the masked strings in any
form (case, accents, hyphens and spaces, look-alike letters, -s and 's, surname first, surname alone), runs
those rule families again whose findings can't be mistaken, and looks for nearly equal spellings of names.

What stays on purpose is no leak: law, what the policy or a reviewer keeps, words that the document writes
small elsewhere, words of drafting.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from lexveil.nlp.entity_types import CONTEXTUAL_TYPES
from lexveil.nlp.letters import HAN
from lexveil.nlp.masking.mask import Masked, Replacement
from lexveil.nlp.masking.near_spellings import MOST_NEAR_NAMES, NEAR_SHORT, NearIndex
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import FOLDED_TITLES, JURISDICTIONS, LEGAL_WORDS

if TYPE_CHECKING:
    from lexveil.nlp.recognizers.base import RuleRecognizer

Reason = Literal["string", "surname", "rule", "revealed", "ambiguous", "near"]
FATAL: frozenset[Reason] = frozenset({"string", "surname", "rule", "revealed"})

CUT = "\x1f"  # stands where something was replaced
_WORD = re.compile(rf"[^\W_{HAN}]+(?:'[^\W_{HAN}]+)*")
_HAN_RUN = re.compile(rf"[^\W_]*[{HAN}〇○](?:[^\W_]|[○])*")
# A court or an authority is named after its place, which is no secret.
_INSTITUTION = re.compile(rf"[{HAN}]{{0,12}}?(?:法院|检察院|公安|政府|看守所|司法局|监狱|委员会)")
_GAP = re.compile(r"[ .,'/&:;()\[\]\n\t-]{0,4}|\s{0,40}")  # columns stand far apart
_SMALL_WORDS = frozenset(
    "a an and at by de del der des di du for in la le of on the to und van von zu".split()  # noqa: SIM905
)
_SHORTEST, _SHORTEST_NUMBER = 4, 5
_MOST_PREFIXES = 300_000
_CHECKED = 0.95
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans("авеһніјкморсѕтухԁαικνορτ", "abehhijkmopcstyxdaikvopt")


@dataclass(frozen=True, slots=True)
class Leftover:
    """Characters [start, end) of the ORIGINAL text that stand in the output and should perhaps not."""

    start: int
    end: int
    type: str
    reason: Reason
    entity: int | None = None  # whose name it is


class _Target(NamedTuple):
    type: str
    reason: Reason
    single: bool  # one Latin word, which may be a word of the language too
    lower: bool  # written small where it was masked, or holding digits: case tells nothing
    entity: int
    joined: str


class _Token(NamedTuple):
    folded: str
    start: int
    end: int
    capital: bool


class SecondPass:
    """The check of one document, piece by piece: `learn` all its pieces, then ask for what is left in each.

    `unmasked_types` are those that the policy keeps; `readable` are strings that a reviewer wants kept.
    """

    def __init__(self, unmasked_types: frozenset[str] = frozenset(), readable: Iterable[str] = ()) -> None:
        self._unmasked_types = unmasked_types
        self._targets = _Targets({_joined(string) for string in readable})
        self._small: set[str] = set()
        self._kept: set[str] = set()
        self._names: set[str] = set()
        self._seen: set[str] = set()

    def learn(self, masked: Masked) -> None:
        """Take in what was masked, what is kept, and which words are written small."""
        output = _Output(masked)
        for kept in masked.kept:
            words = output.words_between(kept.span.start, kept.span.end)
            self._kept.update(words, ("".join(words),))
        self._small.update(output.written_small())
        for replacement in masked.replacements:
            self._targets.add(replacement)
            if replacement.type == "PERSON":
                self._names.update(_words(replacement.original))

    def leftovers(self, masked: Masked) -> list[Leftover]:
        """What is left in a piece, sorted, in its original characters; law is not told from other text."""
        output = _Output(masked)
        text = output.normalised.text
        found: set[Leftover] = set()
        words = self._targets.in_words(list(_tokens(text)), text, self._small)
        for start, end, target in chain(words, self._targets.in_han(text)):
            reason = "ambiguous" if target.joined in self._kept else target.reason
            hit = output.leftover(start, end, target.type, reason, target.entity)
            if not output.keeps(hit):
                found.add(hit)
        for start, end, kind in _rule_findings(text):
            if kind not in self._unmasked_types:
                found.add(output.leftover(start, end, kind, "rule"))
        for r in masked.replacements:
            if r.action == "generalise" and self._targets.reveals(r):
                found.add(Leftover(r.source_start, r.source_end, r.type, "revealed"))
        return _longest(found)

    def near_spellings(self, masked: Masked) -> list[Leftover]:
        """Words nearly spelt like a masked name, each once a document: one letter off from five letters on,
        two from eight."""
        output = _Output(masked)
        found: list[Leftover] = []
        for token in _tokens(output.normalised.text):
            word = token.folded
            if token.capital and len(word) >= NEAR_SHORT and word not in self._seen:
                self._seen.add(word)
                ordinary = word in self._small or word in self._kept or word in self._names
                if not ordinary and _may_name(word) and self._near_index.near(word):
                    found.append(output.leftover(token.start, token.end, "PERSON", "near"))
        return found

    @cached_property
    def _near_index(self) -> NearIndex:
        names = sorted(word for word in self._names if len(word) >= NEAR_SHORT and _may_name(word))
        return NearIndex(names[:MOST_NEAR_NAMES])


def _may_name(word: str) -> bool:
    ordinary = word in LEGAL_WORDS or word in JURISDICTIONS or word in FOLDED_TITLES
    return word.isalpha() and not ordinary


class _Output:
    """The masked text without what was put into it, and the way from there back to the original."""

    def __init__(self, masked: Masked) -> None:
        self._kept = masked.kept
        pieces: list[str] = []
        self._starts: list[int] = []  # of each piece in `text`
        self._sources: list[int] = []  # of each piece in the original
        length = source = last = 0
        for replacement in masked.replacements:
            self._place(length, source)
            piece = masked.text[last : replacement.start]
            pieces += (piece, CUT)
            length += len(piece) + 1
            last, source = replacement.end, replacement.source_end
        self._place(length, source)
        pieces.append(masked.text[last:])
        self.text = "".join(pieces)
        self.normalised = NormalizedText.of(self.text)

    def _place(self, length: int, source: int) -> None:
        self._starts.append(length)
        self._sources.append(source)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Characters of `text` that hold no cut -> characters of the original."""
        piece = bisect_right(self._starts, start) - 1
        shift = self._sources[piece] - self._starts[piece]
        return start + shift, end + shift

    def words_between(self, start: int, end: int) -> list[str]:
        """The folded words of [start, end) of the original, all of which is readable."""
        piece = bisect_right(self._sources, start) - 1
        shift = self._starts[piece] - self._sources[piece]
        return list(_words(self.text[start + shift : end + shift]))

    def keeps(self, found: Leftover) -> bool:
        """Whether it lies within what the policy keeps."""
        place = bisect_right(self._kept, found.start, key=lambda kept: kept.span.start) - 1
        return place >= 0 and found.end <= self._kept[place].span.end

    def written_small(self) -> set[str]:
        found = {m.group() for m in _WORD.finditer(self.normalised.text) if m.group().islower()}
        return {_fold(word) for word in found}

    def leftover(
        self, first: int, last: int, kind: str, reason: Reason, entity: int | None = None
    ) -> Leftover:
        start, end = self.original(*self.normalised.to_original(first, last))
        return Leftover(start, end, kind, reason, entity)


class _Targets:
    """The strings that must be gone, in the forms that can be looked up while reading once through a text."""

    def __init__(self, readable: set[str]) -> None:
        self._readable = readable
        self._words: dict[str, _Target] = {}
        self._han: dict[str, _Target] = {}
        self._prefixes: set[str] = set()
        self._longest = 0
        self._han_starts: set[str] = set()
        self._han_lengths: list[int] = []
        self._seen: set[tuple[str, str]] = set()

    def add(self, replacement: Replacement) -> None:
        kind, original = replacement.type, replacement.original
        if (kind, original) in self._seen or original == replacement.text:
            return
        self._seen.add((kind, original))
        surface = NormalizedText.of(original).text
        for words, reason in _forms(kind, original):
            joined = "".join(words)
            if joined in self._readable:
                continue
            lower = surface == surface.lower() or any(c.isdigit() for c in joined)
            target = _Target(kind, reason, len(words) == 1, lower, replacement.entity, joined)
            if _HAN_RUN.search(joined):
                self._han.setdefault(joined, target)
                self._han_starts.add(joined[:2])
                if len(joined) not in self._han_lengths:
                    self._han_lengths = sorted([*self._han_lengths, len(joined)], reverse=True)
            else:
                if joined not in self._words or self._words[joined].reason == "surname":
                    self._words[joined] = target
                self._longest = max(self._longest, len(joined))
                self._prefixes.update(_prefixes(words, every=len(self._prefixes) < _MOST_PREFIXES))

    def in_words(
        self, tokens: Sequence[_Token], text: str, small: Set[str]
    ) -> Iterator[tuple[int, int, _Target]]:
        if not self._words:
            return
        for place, token in enumerate(tokens):
            if token.folded in self._prefixes or (
                token.folded[-1:] == "s" and token.folded[:-1] in self._prefixes
            ):
                found = self._match(tokens, place, text, small)
                if found:
                    yield token.start, found[0], found[1]

    def _match(
        self, tokens: Sequence[_Token], place: int, text: str, small: Set[str]
    ) -> tuple[int, _Target] | None:
        """The longest target that begins at a token."""
        joined, best = "", None
        for step in range(place, len(tokens)):
            token = tokens[step]
            if step > place and not _GAP.fullmatch(text, tokens[step - 1].end, token.start):
                break
            joined += token.folded
            if len(joined) > self._longest + 1:
                break
            target = self._words.get(joined)
            if target is None and joined[-1:] == "s":
                target = self._words.get(joined[:-1])
            if target and _counts(target, tokens[place : step + 1], text, small):
                best = token.end, target
            if joined not in self._prefixes:
                break
        return best

    def in_han(self, text: str) -> Iterator[tuple[int, int, _Target]]:
        if not self._han:
            return
        for run in _HAN_RUN.finditer(text):
            for start in range(run.start(), run.end() - 1):
                if text[start : start + 2] not in self._han_starts:
                    continue
                for length in self._han_lengths:
                    end = start + length
                    target = self._han.get(text[start:end])
                    if target and end <= run.end() and _stands_alone(text, start, end, target.type):
                        yield start, end, target
                        break

    def reveals(self, replacement: Replacement) -> bool:
        """Whether a generalisation holds the masked string of another entity."""
        shown = NormalizedText.of(replacement.text).text
        found = [target for _, _, target in self.in_words(list(_tokens(shown)), shown, frozenset())]
        found += [target for _, _, target in self.in_han(shown)]
        return any(
            target.entity != replacement.entity and target.type not in CONTEXTUAL_TYPES for target in found
        )


def _counts(target: _Target, tokens: Sequence[_Token], text: str, small: Set[str]) -> bool:
    """Whether an occurrence says the name, and not a word or two of the language."""
    if target.lower:
        return True
    if not target.single:
        return target.type == "PERSON" or any(token.capital for token in tokens)
    if len(tokens) == 1:
        word = tokens[0].folded
        return tokens[0].capital and word not in small and word.removesuffix("s") not in small
    # One word in two: torn at the end of a line, or written as Mac Donald.
    hyphen = "-" in text[tokens[0].end : tokens[1].start]
    return all(token.capital for token in tokens) or (hyphen and tokens[0].capital)


def _forms(kind: str, surface: str) -> Iterator[tuple[tuple[str, ...], Reason]]:
    """The folded words of a masked string, and of a person's other orders; none for what tells nothing."""
    if kind == "FAMILY_MEMBER":  # a relation; whoever is named beside it is a PERSON
        return
    text = NormalizedText.of(surface).text
    if _HAN_RUN.search(text):
        joined = "".join(c for c in text if c.isalnum() or c == "○")
        digits = any(c.isdigit() for c in joined)
        if len(joined) >= (_SHORTEST_NUMBER if digits or kind in CONTEXTUAL_TYPES else 2):
            yield (joined,), "string"
        return
    words = tuple(_words(text))
    if kind == "PERSON":
        words = tuple(word for word in words if word not in FOLDED_TITLES) or words
    if not _tells(kind, words, text):
        return
    yield words, "string"
    if kind == "PERSON" and len(words) > 1 and all(len(word) > 1 for word in (words[0], words[-1])):
        yield (words[-1], *words[:-1]), "string"
        if len(words) > 2:
            yield (words[0], words[-1]), "string"
            yield (words[-1], words[0]), "string"
        surname = words[0] if "," in text else words[-1]
        if _tells(kind, (surname,), surname.title()):
            yield (surname,), "surname"


def _tells(kind: str, words: Sequence[str], surface: str) -> bool:
    """Whether a masked string is one that tells something wherever it stands."""
    joined = "".join(words)
    digits = sum(c.isdigit() for c in joined)
    if digits:
        shortest = _SHORTEST_NUMBER
    elif kind == "PERSON":
        shortest = 3
    else:
        shortest = _SHORTEST
    if len(joined) < shortest or (len(words) > 1 and all(len(word) == 1 for word in words)):
        return False
    if digits:
        return True
    if all(_ordinary(word, kind) or _ordinary(word.removesuffix("s"), kind) for word in words):
        return False
    if kind in CONTEXTUAL_TYPES:
        capitals = sum(word[0].isupper() for word in surface.split() if word)
        return kind in ("DEMOGRAPHIC", "MISC") and len(words) > 1 and capitals > 1
    cased = surface.lower() != surface.upper()
    small = cased and surface == surface.lower()
    return not small or kind in ("EMAIL", "URL") or (kind == "PERSON" and len(words) > 1)


def _ordinary(word: str, kind: str) -> bool:
    name = kind in ("PERSON", "ORGANIZATION")
    return word in LEGAL_WORDS or word in _SMALL_WORDS or (name and word in JURISDICTIONS)


def _prefixes(words: Sequence[str], every: bool) -> set[str]:
    """What a target may begin with; with `every` prefix, "Mac Donald" is found for MacDonald."""
    joined = "".join(words)
    if every:
        return {joined[:end] for end in range(2, len(joined) + 1)} | {words[0]}
    return set(accumulate(words))


def _tokens(text: str) -> Iterator[_Token]:
    for match in _WORD.finditer(text):
        word = match.group()
        end = match.end()
        if word[-2:] in ("'s", "'S"):
            word, end = word[:-2], end - 2
        yield _Token(_fold(word), match.start(), end, word[0].isupper())


def _words(text: str) -> Iterator[str]:
    return (token.folded for token in _tokens(NormalizedText.of(text).text))


def _stands_alone(text: str, start: int, end: int, kind: str) -> bool:
    """Whether no digit goes on beyond a string with digits at its edge, and no institution's name either."""
    if text[start].isdigit() and text[start - 1 : start].isdigit():
        return False
    if text[end - 1].isdigit() and text[end : end + 1].isdigit():
        return False
    return kind not in ("LOCATION", "ADDRESS") or not _INSTITUTION.match(text, end)


def _joined(text: str) -> str:
    return "".join(_words(text)) or "".join(c for c in text if c.isalnum())


@cache
def _accentless(letter: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower().replace("'", "")
    return "".join(map(_accentless, word)).casefold().translate(_LOOKALIKES).replace("'", "")


def _rule_findings(text: str) -> Iterator[tuple[int, int, str]]:
    """E-mails, checked account and identity numbers, and valid international phone numbers."""
    for recognizer in _rule_families():
        for found in recognizer.find(text):
            if found.score >= _CHECKED and CUT not in text[found.start : found.end]:
                yield found.start, found.end, found.type


@cache
def _rule_families() -> tuple[RuleRecognizer, ...]:
    from lexveil.nlp.recognizers.account import LexveilAccountRecognizer
    from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
    from lexveil.nlp.recognizers.identity import LexveilIdentityRecognizer
    from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer

    return tuple(
        family()
        for family in (
            LexveilAccountRecognizer,
            LexveilEmailRecognizer,
            LexveilIdentityRecognizer,
            LexveilPhoneRecognizer,
        )
    )


def _longest(found: Iterable[Leftover]) -> list[Leftover]:
    """Of leftovers over each other, the longest."""
    result: list[Leftover] = []
    for leftover in sorted(found, key=lambda one: (one.start, -one.end, one.reason, one.type)):
        if result and leftover.start < result[-1].end:
            if leftover.end - leftover.start > result[-1].end - result[-1].start:
                result[-1] = leftover
        else:
            result.append(leftover)
    return result
