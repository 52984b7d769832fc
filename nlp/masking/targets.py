"""Index of masked strings that finds their further occurrences in any form, in one pass over a text.

Forms differ in case, accents, hyphens and spaces, look-alike letters, a final -s; a person is also found
surname first, without middle names, and by the surname alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import accumulate
from typing import Literal, NamedTuple

from lexveil.nlp.entity_types import CONTEXTUAL_TYPES
from lexveil.nlp.letters import HAN
from lexveil.nlp.masking.folding import HAN_MARK, Token, fold_words, join_folded, split_tokens
from lexveil.nlp.masking.mask import Replacement
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import FOLDED_TITLES, JURISDICTIONS, LEGAL_WORDS

FormReason = Literal["string", "surname"]
"""The form of a masked string: the whole of it, or a person's surname alone."""

# A court or an authority is named after its location, which is not personal.
_INSTITUTION = re.compile(rf"[{HAN}]{{0,12}}?(?:法院|检察院|公安|政府|看守所|司法局|监狱|委员会)")
# Text without spaces, with the punctuation that a Chinese name may contain: "(2019)京0108刑初76号".
_STRETCH = re.compile(r"(?:[^\W_]|[○()\[\]〔〕·./&-])+")
# Text between the words of one name; the columns of a table may be far apart.
_GAP = re.compile(r"[ .,'/&:;()\[\]\n\t_-]{0,4}|\s{0,40}")
_FUNCTION_WORDS = frozenset(
    "a an and at by de del der des di du for in la le of on the to und van von zu".split()  # noqa: SIM905
)
_SHORTEST, _SHORTEST_PERSON, _SHORTEST_NUMBER, _SHORTEST_HAN = 4, 3, 5, 2
_MOST_PREFIXES = 300_000


class Target(NamedTuple):
    """A masked string in one of its forms.

    Attributes:
        type: entity type of the string.
        reason: the form.
        single: it is one Latin word, which may also be an ordinary word.
        ignores_case: it was masked in lower case or contains digits, so that case carries no information.
        entity: number of the entity whose name it is.
        joined: its folded words without spaces.
    """

    type: str
    reason: FormReason
    single: bool
    ignores_case: bool
    entity: int
    joined: str


class Occurrence(NamedTuple):
    """A target at [start, end) of a normalized text."""

    start: int
    end: int
    target: Target


class Targets:
    """The masked strings of a document."""

    def __init__(self, readable: Iterable[str] = ()) -> None:
        """Begin without any string.

        Args:
            readable: strings that a reviewer wants to keep, which never become targets.
        """
        self._readable = {join_folded(string) for string in readable}
        self._added: dict[str, set[str]] = {}
        self._words: dict[str, Target] = {}
        self._prefixes: set[str] = set()
        self._longest = 0
        self._han: dict[str, Target] = {}
        self._han_starts: set[str] = set()
        self._han_lengths: list[int] = []

    def add(self, replacement: Replacement) -> None:
        """Add all forms of a replaced string."""
        kind, original = replacement.type, replacement.original
        added = self._added.setdefault(kind, set())
        if original in added or original == replacement.text:
            return
        added.add(original)
        surface = NormalizedText.of(original).text
        in_lower_case = surface == surface.lower()
        for words, reason in _list_forms(kind, surface):
            joined = "".join(words)
            if joined in self._readable:
                continue
            ignores_case = in_lower_case or any(c.isdigit() for c in joined)
            target = Target(kind, reason, len(words) == 1, ignores_case, replacement.entity, joined)
            if HAN_MARK.search(joined):
                self._add_han(target)
            else:
                self._add_words(target, words)

    def find(
        self, text: str, lower: Set[str] = frozenset(), tokens: Sequence[Token] | None = None
    ) -> Iterator[Occurrence]:
        """Yield the occurrences of targets in a normalized text.

        Args:
            text: the text.
            lower: folded words that the document writes in lower case, which are not names.
            tokens: the words of the text, if they are known already.
        """
        if self._words:
            yield from self._find_words(text, tokens or split_tokens(text), lower)
        if self._han:
            yield from self._find_han(text)

    def reveals(self, replacement: Replacement) -> bool:
        """Return True if a generalization contains the masked string of another entity."""
        shown = NormalizedText.of(replacement.text).text
        return any(
            target.entity != replacement.entity and target.type not in CONTEXTUAL_TYPES
            for _, _, target in self.find(shown)
        )

    def _add_words(self, target: Target, words: Sequence[str]) -> None:
        known = self._words.get(target.joined)
        if known is None or known.reason == "surname":
            self._words[target.joined] = target
        self._longest = max(self._longest, len(target.joined))
        self._prefixes.update(_list_prefixes(words, every=len(self._prefixes) < _MOST_PREFIXES))

    def _add_han(self, target: Target) -> None:
        self._han.setdefault(target.joined, target)
        self._han_starts.add(target.joined[:2])
        if len(target.joined) not in self._han_lengths:
            self._han_lengths = sorted([*self._han_lengths, len(target.joined)], reverse=True)

    def _find_words(self, text: str, tokens: Sequence[Token], lower: Set[str]) -> Iterator[Occurrence]:
        prefixes = self._prefixes
        for index, token in enumerate(tokens):
            folded = token.folded
            if folded in prefixes or (folded[-1:] == "s" and folded[:-1] in prefixes):
                occurrence = self._find_longest(tokens, index, text, lower)
                if occurrence:
                    yield occurrence

    def _find_longest(
        self, tokens: Sequence[Token], index: int, text: str, lower: Set[str]
    ) -> Occurrence | None:
        """Return the longest target that begins at a token."""
        joined, best = "", None
        for last in range(index, len(tokens)):
            token = tokens[last]
            if last > index and not _GAP.fullmatch(text, tokens[last - 1].end, token.start):
                break
            joined += token.folded
            if len(joined) > self._longest + 1:
                break
            target = self._words.get(joined)
            if target is None and joined[-1:] == "s":
                target = self._words.get(joined[:-1])
            if target and _is_name(target, tokens[index : last + 1], text, lower):
                best = Occurrence(tokens[index].start, token.end, target)
            if joined not in self._prefixes:
                break
        return best

    def _find_han(self, text: str) -> Iterator[Occurrence]:
        for stretch in _STRETCH.finditer(text):
            if not HAN_MARK.search(text, stretch.start(), stretch.end()):
                continue
            for start in range(stretch.start(), stretch.end() - 1):
                if text[start : start + 2] in self._han_starts:
                    occurrence = self._find_longest_han(text, start, stretch.end())
                    if occurrence:
                        yield occurrence

    def _find_longest_han(self, text: str, start: int, limit: int) -> Occurrence | None:
        """Return the longest target that begins at `start` and ends by `limit`."""
        for length in self._han_lengths:
            end = start + length
            target = self._han.get(text[start:end])
            if target and end <= limit and _is_separate(text, start, end, target.type):
                return Occurrence(start, end, target)
        return None


def _is_name(target: Target, tokens: Sequence[Token], text: str, lower: Set[str]) -> bool:
    """Return True if an occurrence is the name rather than one or two ordinary words."""
    if target.ignores_case:
        return True
    if not target.single:
        return target.type == "PERSON" or any(token.capital for token in tokens)
    if len(tokens) == 1:
        word = tokens[0].folded
        return tokens[0].capital and word not in lower and word.removesuffix("s") not in lower
    # One word in two parts: hyphenated at the end of a line, or written as Mac Donald.
    hyphen = "-" in text[tokens[0].end : tokens[1].start]
    return all(token.capital for token in tokens) or (hyphen and tokens[0].capital)


def _is_separate(text: str, start: int, end: int, kind: str) -> bool:
    """Return True unless a number continues beyond the range, or a place begins an institution's name."""
    if text[start].isdigit() and text[start - 1 : start].isdigit():
        return False
    if text[end - 1].isdigit() and text[end : end + 1].isdigit():
        return False
    return kind not in ("LOCATION", "ADDRESS") or not _INSTITUTION.match(text, end)


def _list_forms(kind: str, surface: str) -> Iterator[tuple[tuple[str, ...], FormReason]]:
    """Yield the folded words of a masked string in each form; none if it identifies nobody elsewhere.

    Args:
        kind: entity type of the string.
        surface: the string, normalized.
    """
    if kind == "FAMILY_MEMBER":  # a relation, not a name: the relative's name is a PERSON
        return
    if HAN_MARK.search(surface):
        yield from _list_han_forms(kind, surface)
        return
    words = tuple(fold_words(surface))
    if kind == "PERSON":
        words = tuple(word for word in words if word not in FOLDED_TITLES) or words
    if not _is_distinctive(kind, words, surface):
        return
    yield words, "string"
    if kind == "PERSON":
        yield from _list_person_forms(words, surface)


def _list_person_forms(words: tuple[str, ...], surface: str) -> Iterator[tuple[tuple[str, ...], FormReason]]:
    """Yield the other forms of a name: surname first, without middle names, the surname alone."""
    if len(words) < 2 or len(words[0]) == 1 or len(words[-1]) == 1:
        return
    yield (words[-1], *words[:-1]), "string"
    if len(words) > 2:
        yield (words[0], words[-1]), "string"
        yield (words[-1], words[0]), "string"
    surname = words[0] if "," in surface else words[-1]
    if _is_distinctive("PERSON", (surname,), surname.title()):
        yield (surname,), "surname"


def _list_han_forms(kind: str, surface: str) -> Iterator[tuple[tuple[str, ...], FormReason]]:
    """Yield a Chinese string without its punctuation, and with it if it has any inside."""
    letters = [index for index, c in enumerate(surface) if c.isalnum() or c == "○"]
    joined = "".join(surface[index] for index in letters)
    if _is_distinctive_han(kind, joined):
        yield (joined,), "string"
        literal = surface[letters[0] : letters[-1] + 1]
        if literal != joined:
            yield (literal,), "string"


def _is_distinctive_han(kind: str, joined: str) -> bool:
    has_digits = any(c.isdigit() for c in joined)
    shortest = _SHORTEST_NUMBER if has_digits or kind in CONTEXTUAL_TYPES else _SHORTEST_HAN
    return len(joined) >= shortest


def _is_distinctive(kind: str, words: Sequence[str], surface: str) -> bool:
    """Return True if a masked string identifies its entity wherever it appears."""
    joined = "".join(words)
    has_digits = any(c.isdigit() for c in joined)
    if len(joined) < _shortest_length(kind, has_digits):
        return False
    if len(words) > 1 and all(len(word) == 1 for word in words):
        return False
    if has_digits:
        return True
    if all(_is_ordinary(word, kind) or _is_ordinary(word.removesuffix("s"), kind) for word in words):
        return False
    return _is_written_as_name(kind, len(words), surface)


def _shortest_length(kind: str, has_digits: bool) -> int:
    if has_digits:
        return _SHORTEST_NUMBER
    return _SHORTEST_PERSON if kind == "PERSON" else _SHORTEST


def _is_written_as_name(kind: str, words: int, surface: str) -> bool:
    """Return True if the capitals of a string show that it is a name."""
    if kind in CONTEXTUAL_TYPES:
        capitals = sum(word[0].isupper() for word in surface.split())
        return kind in ("DEMOGRAPHIC", "MISC") and words > 1 and capitals > 1
    has_case = surface.lower() != surface.upper()
    in_lower_case = has_case and surface == surface.lower()
    return not in_lower_case or kind in ("EMAIL", "URL") or (kind == "PERSON" and words > 1)


def _is_ordinary(word: str, kind: str) -> bool:
    is_name = kind in ("PERSON", "ORGANIZATION")
    return word in LEGAL_WORDS or word in _FUNCTION_WORDS or (is_name and word in JURISDICTIONS)


def _list_prefixes(words: Sequence[str], every: bool) -> set[str]:
    """Return the strings with which a target may begin.

    With `every` prefix, "Mac Donald" is found for MacDonald; otherwise only whole words are prefixes.
    """
    joined = "".join(words)
    if every:
        return {joined[:end] for end in range(2, len(joined) + 1)} | {words[0]}
    return set(accumulate(words))
