r"""Words that a hyphen divides at the end of a line become one word again: "Wolfen-\nberger".

Whether the hyphen belongs to the word ("Anne-\nMarie", "lease-\nback") is decided by how the rest of the text
spells it, and if it does not occur there, by its letters.
"""

from __future__ import annotations

import re

from lexveil.nlp.letters import HAN

_LETTER = rf"[^\W\d_{HAN}]"
_BREAK = re.compile(rf"(?<={_LETTER})[-\u2010\xad][ \t]*\n[ \t]*(?P<rest>{_LETTER}[\w'’]*)")
_HALVES = re.compile(rf"\b{_LETTER}+[-\u2010\xad][ \t]*\n[ \t]*{_LETTER}+")
_TOKEN = re.compile(r"\S+\Z")
_LETTERS = re.compile(f"{_LETTER}+")
_OPENING = "\"'“‘„«»(["
_LONGEST = 60
_WORD = re.compile(rf"{_LETTER}+(?:[-\u2010]{_LETTER}+)*")
_CONJUNCTIONS = frozenset(
    {
        "and",
        "or",
        "nor",
        "to",
        "und",
        "oder",
        "bzw",
        "sowie",
        "bis",
        "et",
        "ou",
        "y",
        "o",
        "e",
        "ed",
        "en",
        "of",
    }
)
"""After a hyphen that stands for the rest of a word: "pre-\\nand post-trial"."""
_PREFIXES = frozenset({"self", "non", "ex", "quasi", "cross", "semi", "half", "all", "well", "so", "vice"})
_ADDRESS = re.compile(r"[@/]|\.\w+\.|www")
_MIN_PART = 3
_SOFT = "\xad"


def join_words(text: str) -> str:
    """Return the text with divided words joined; what follows the word stays on its line.

    Args:
        text: Text with hard line ends.
    """
    known: set[str] | None = None
    pieces: list[str] = []
    end = 0
    for found in _BREAK.finditer(text):
        if known is None:
            known = {word.casefold() for word in _WORD.findall(_HALVES.sub(" ", text))}
        before = _TOKEN.search(text, max(end, found.start() - _LONGEST), found.start())
        joined = _join(before[0] if before else "", text[found.start()], found["rest"], known)
        if joined is not None:
            pieces += [text[end : found.start()], joined]
            end = found.end()
    return "".join([*pieces, text[end:]]) if pieces else text


def _join(before: str, hyphen: str, rest: str, known: set[str]) -> str | None:
    """Return what follows the first half of a word: the rest, with or without hyphen; None for two words."""
    if hyphen == _SOFT:
        return rest
    if rest.casefold() in _CONJUNCTIONS or _ADDRESS.search(before):
        return None
    return rest if _is_one_word(before, rest, known) else f"-{rest}"


def _is_one_word(before: str, rest: str, known: set[str]) -> bool:
    half, tail = before.lstrip(_OPENING), _LETTERS.match(rest)
    if tail is None or _LETTERS.fullmatch(half) is None:
        return False
    left, right = half.casefold(), tail[0].casefold()
    if f"{left}{right}" in known:
        return True
    if f"{left}-{right}" in known or left in _PREFIXES:
        return False
    if rest[0].isupper() and not (len(half) > 1 and half.isupper() and tail[0].isupper()):
        return False
    # Both halves are words of this text: a compound, such as "landlord-tenant".
    return not (min(len(left), len(right)) >= _MIN_PART and left in known and right in known)
