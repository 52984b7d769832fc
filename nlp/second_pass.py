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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations
from typing import TYPE_CHECKING, Literal, NamedTuple

from nlp.identity import TITLES
from nlp.mask import Masked, Replacement
from nlp.policy import CONTEXTUAL_TYPES
from nlp.recognizers.vocabulary import JURISDICTIONS, LEGAL_WORDS
from nlp.text import NormalisedText

if TYPE_CHECKING:
    from nlp.recognizers.base import RuleRecognizer

Reason = Literal["string", "surname", "rule", "revealed", "ambiguous", "near"]
FATAL: frozenset[Reason] = frozenset({"string", "surname", "rule", "revealed"})

CUT = "\x1f"  # stands where something was replaced
_CHUNK, _OVERLAP = 1 << 20, 400
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[^\W_{_HAN}]+(?:'[^\W_{_HAN}]+)*")
_HAN_RUN = re.compile(rf"[^\W_]*[{_HAN}〇○](?:[^\W_]|[○])*")
# A court or an authority is named after its place, which is no secret.
_INSTITUTION = re.compile(rf"[{_HAN}]{{0,12}}?(?:法院|检察院|公安|政府|看守所|司法局|监狱|委员会)")
_GAP = re.compile(r"[ .,'/&:;()\[\]\n\t-]{0,4}")
_SMALL_WORDS = frozenset(
    "a an and at by de del der des di du for in la le of on the to und van von zu".split()  # noqa: SIM905
)
_SHORTEST, _SHORTEST_NUMBER = 4, 5
_MOST_PREFIXES = 500_000
_NEAR_SHORT, _NEAR_LONG = 5, 8
_MOST_NEAR_NAMES = 20_000
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


class _Token(NamedTuple):
    folded: str
    start: int
    end: int
    capital: bool


def leftovers(
    masked: Masked, unmasked_types: frozenset[str] = frozenset(), readable: Iterable[str] = ()
) -> list[Leftover]:
    """What is left, sorted, in characters of the original text; law is not told from other text here.

    `unmasked_types` are those that the policy keeps; `readable` are strings that a reviewer wants kept.
    """
    output = _Output(masked)
    targets = _Targets(masked, {_joined(string) for string in readable})
    small = output.written_small()
    found: set[Leftover] = set()
    for start, chunk in output.chunks():
        words = targets.in_words(list(_tokens(chunk.text)), chunk.text, small)
        for first, last, target in chain(words, targets.in_han(chunk.text)):
            hit = output.leftover(start, chunk, first, last, target.type, target.reason, target.entity)
            if not output.keeps(hit):
                found.add(hit)
        for first, last, kind in _rule_findings(chunk.text):
            if kind not in unmasked_types:
                found.add(output.leftover(start, chunk, first, last, kind, "rule", None))
    for replacement in masked.replacements:
        if replacement.action == "generalise" and targets.reveals(replacement):
            found.add(
                Leftover(replacement.source_start, replacement.source_end, replacement.type, "revealed")
            )
    return _longest(found)


def near_spellings(masked: Masked) -> list[Leftover]:
    """Words nearly spelt like a masked name, once each: one letter off from five letters on, two from eight."""
    output = _Output(masked)
    names = {
        word
        for replacement in masked.replacements
        if replacement.type == "PERSON" and replacement.action != "keep"
        for word in _words(replacement.original)
        if len(word) >= _NEAR_SHORT and word.isalpha() and word not in LEGAL_WORDS and word not in TITLES
    }
    kept = {word for kept in masked.kept for word in output.words_between(kept.span.start, kept.span.end)}
    small = output.written_small()
    index = _NearIndex(sorted(names)[:_MOST_NEAR_NAMES])
    seen: set[str] = set()
    found: list[Leftover] = []
    for start, chunk in output.chunks():
        for token in _tokens(chunk.text):
            word = token.folded
            if not token.capital or word in seen or len(word) < _NEAR_SHORT:
                continue
            seen.add(word)
            ordinary = word in small or word in LEGAL_WORDS or word in JURISDICTIONS or word in kept
            if word not in names and not ordinary and word.isalpha() and index.near(word):
                found.append(output.leftover(start, chunk, token.start, token.end, "PERSON", "near", None))
    return found


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
        self._small: frozenset[str] | None = None

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

    def chunks(self) -> Iterator[tuple[int, NormalisedText]]:
        """(offset, normalised text) of overlapping pieces, so that memory stays bounded."""
        start = 0
        while start < len(self.text):
            end = min(len(self.text), start + _CHUNK)
            yield start, NormalisedText.of(self.text[start:end])
            if end == len(self.text):
                return
            start = end - _OVERLAP

    def written_small(self) -> frozenset[str]:
        if self._small is None:
            words: set[str] = set()
            for _, chunk in self.chunks():
                words.update(m.group() for m in _WORD.finditer(chunk.text) if m.group().islower())
            self._small = frozenset(_fold(word) for word in words)
        return self._small

    def leftover(
        self,
        offset: int,
        chunk: NormalisedText,
        first: int,
        last: int,
        kind: str,
        reason: Reason,
        entity: int | None,
    ) -> Leftover:
        start, end = chunk.to_original(first, last)
        start, end = self.original(offset + start, offset + end)
        return Leftover(start, end, kind, reason, entity)


class _Targets:
    """The strings that must be gone, in the forms that can be looked up while reading once through a text."""

    def __init__(self, masked: Masked, readable: set[str]) -> None:
        self._words: dict[str, _Target] = {}
        self._han: dict[str, _Target] = {}
        forms: list[tuple[str, ...]] = []
        output = _Output(masked)
        kept = {_joined(" ".join(output.words_between(k.span.start, k.span.end))) for k in masked.kept}
        kept |= {word for k in masked.kept for word in output.words_between(k.span.start, k.span.end)}
        seen: set[tuple[str, str]] = set()
        for replacement in masked.replacements:
            if (replacement.type, replacement.original) in seen or replacement.original == replacement.text:
                continue
            seen.add((replacement.type, replacement.original))
            for words, reason in _forms(replacement.type, replacement.original):
                joined = "".join(words)
                if joined in readable:
                    continue
                surface = NormalisedText.of(replacement.original).text
                lower = surface == surface.lower() or any(c.isdigit() for c in joined)
                target = _Target(
                    replacement.type,
                    "ambiguous" if joined in kept else reason,
                    len(words) == 1,
                    lower,
                    replacement.entity,
                )
                table = self._han if _HAN_RUN.search(joined) else self._words
                if joined not in table or table[joined].reason == "surname":
                    table[joined] = target
                forms.append(words)
        self._prefixes = _prefixes(forms)
        self._longest = max(map(len, self._words), default=0)
        self._han_starts = {name[:2] for name in self._han}
        self._han_lengths = sorted({len(name) for name in self._han}, reverse=True)

    def in_words(
        self, tokens: Sequence[_Token], text: str, small: frozenset[str]
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
        self, tokens: Sequence[_Token], place: int, text: str, small: frozenset[str]
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
        shown = NormalisedText.of(replacement.text).text
        found = [target for _, _, target in self.in_words(list(_tokens(shown)), shown, frozenset())]
        found += [target for _, _, target in self.in_han(shown)]
        return any(
            target.entity != replacement.entity and target.type not in CONTEXTUAL_TYPES for target in found
        )


def _counts(target: _Target, tokens: Sequence[_Token], text: str, small: frozenset[str]) -> bool:
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
    text = NormalisedText.of(surface).text
    if _HAN_RUN.search(text):
        joined = "".join(c for c in text if c.isalnum() or c == "○")
        digits = any(c.isdigit() for c in joined)
        if len(joined) >= (_SHORTEST_NUMBER if digits or kind in CONTEXTUAL_TYPES else 2):
            yield (joined,), "string"
        return
    words = tuple(_words(text))
    if kind == "PERSON":
        words = tuple(word for word in words if word not in TITLES) or words
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


def _prefixes(forms: Sequence[tuple[str, ...]]) -> frozenset[str]:
    """What a target may begin with. Every prefix, so that "Mac Donald" finds MacDonald, unless too many."""
    found: set[str] = set()
    for words in forms:
        joined = ""
        for word in words:
            joined += word
            found.add(joined)
    total = sum(sum(map(len, words)) for words in forms)
    if total <= _MOST_PREFIXES:
        found.update(joined[:end] for joined in list(found) for end in range(2, len(joined)))
    return frozenset(found)


def _tokens(text: str) -> Iterator[_Token]:
    for match in _WORD.finditer(text):
        word = match.group()
        end = match.end()
        if word[-2:] in ("'s", "'S"):
            word, end = word[:-2], end - 2
        yield _Token(_fold(word), match.start(), end, word[0].isupper())


def _words(text: str) -> Iterator[str]:
    return (token.folded for token in _tokens(NormalisedText.of(text).text))


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
    from nlp.recognizers.account import AccountRecognizer
    from nlp.recognizers.email import EmailRecognizer
    from nlp.recognizers.identity import IdentityRecognizer
    from nlp.recognizers.phone import PhoneRecognizer

    return tuple(
        family() for family in (AccountRecognizer, EmailRecognizer, IdentityRecognizer, PhoneRecognizer)
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


class _NearIndex:
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
    return 2 if length >= _NEAR_LONG else 1 if length >= _NEAR_SHORT else 0


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
