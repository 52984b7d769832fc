# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Capitalize words where a text is written entirely in lower case, as in chats, mails and transcripts.

Learned detectors recognize names by their capitals. In "i told ann roe that the money is gone" no name has
one, so there every word gets one before it is read: what a detector then still considers a name, it knows by
the context.
"""

from __future__ import annotations

import re

_LETTERS = re.compile(r"[^\W\d_]+")
# The first letter of each word that may have a capital.
_CASED = re.compile(r"(?<![^\W\d_])[A-Za-z\u00c0-\u024f\u0400-\u052f]")
_CAPITAL = re.compile(r"(?<![^\W\d_])[A-Z]")
_SAMPLE = 1 << 14
_FEWEST_WORDS = 4
_LETTERS_A_WORD = 5
_LONGEST_WORD = 15  # on average; text with fewer words is in a script without capitals
_MOST_CAPITALS = 0.02
# "i" for "I", not the first item of a list: whoever writes like this capitalizes no names.
_PRONOUN = re.compile(
    r"(?<![\w(.'&-])i(?:'(?:m|ve|ll|d))?(?= (?!(?:of|in|to|and|or|is|on|at|for|the|above|below)\b)[a-z])"
)
# Words that stay in lower case in titles; a greeting is not part of the name after it.
_SMALL_WORDS = frozenset(
    """
    a about after all also am an and any are as asked at be because been before but by called can come could dear did do
    does for from get go goes gone got had has have he hello her here hers hey hi him his how i if in into is it its
    just knows like made me met mine must my need needs never no not now of off on only or our ours out over please
    really said saw says see sent shall she should so some still take tell than thank thanks that the their them then
    there these they think this those thought to told too under until up us very wants was we went were what when where
    which who why will with without would yes yet you your yours
    """.split()  # noqa: SIM905
)
# What ends a passage in lower case: a capital, a line, the end of a quotation. It begins with a line or a
# quotation, or else, in a long line, after a word with a capital.
_END = re.compile(r"[\n\"]|(?=[A-Z])")
_START = re.compile(r".*[A-Z]\S*")
_LONGEST = 2000
# German, with its capital for every noun, has no quotation without one unless its writer uses none.
_LOWER_QUOTE = re.compile(r"\"([a-zäöüß][^\"A-ZÄÖÜ]{40,2000})\"")
# A line that begins a sentence without a capital and has none.
_LINE = re.compile(r"(?:\A|(?<=[.?!\"\n]\n))[a-zà-ÿ][^\nA-Z]*(?=\n|\Z)")


def capitalize_lower_passages(text: str, language: str = "") -> str:
    """Return `text` with a capital for every word of the passages that have none. Its length stays.

    Args:
        text: normalized text.
        language: its ISO 639-1 code, or "".
    """
    passages = find_lower_passages(text, language)
    if passages != [(0, len(text))]:
        # A single line may continue the one before it, so it does not show how a text is written.
        passages += [m.span() for m in _LINE.finditer(text) if _count_words(m.group()) >= _FEWEST_WORDS]
    pieces: list[str] = []
    done = 0
    for start, end in sorted(passages):
        if end > done:
            first = max(start, done)
            pieces += (text[done:first], _LETTERS.sub(_capitalize_word, text[first:end]))
            done = end
    return "".join((*pieces, text[done:]))


def find_lower_passages(text: str, language: str = "") -> list[tuple[int, int]]:
    """Return the passages whose writer uses no capitals, sorted and without overlaps.

    Such a passage is the whole text, in English what stands around an "i" for "I", in German a quotation.

    Args:
        text: normalized text.
        language: its ISO 639-1 code, or "".
    """
    words = _CASED.findall(text, 0, _SAMPLE)
    capitals = sum(map(str.isupper, words))
    latin = len(words) >= max(_FEWEST_WORDS, len(text[:_SAMPLE]) / _LONGEST_WORD)
    lower = latin and capitals <= _MOST_CAPITALS * len(words)
    # The sample may be short of a long text.
    if lower and len(_CAPITAL.findall(text)) <= _MOST_CAPITALS * len(text) / _LETTERS_A_WORD:
        return [(0, len(text))]
    if language == "de":
        return [quoted.span(1) for quoted in _LOWER_QUOTE.finditer(text)]
    return _find_passages(text) if language == "en" else []


def _find_passages(text: str) -> list[tuple[int, int]]:
    passages: list[tuple[int, int]] = []
    for match in _PRONOUN.finditer(text):
        done = passages[-1][1] if passages else 0
        start, end = _find_passage(text, match.start(), done)
        if passages and start <= done:
            start, _ = passages.pop()
        passages.append((start, end))
    return passages


def _find_passage(text: str, position: int, done: int) -> tuple[int, int]:
    """Return the passage in lower case around a position.

    No pattern reads a character twice, so that a long line with many an "i" takes no longer than another.

    Args:
        text: the text.
        position: a position in the passage.
        done: end of the passage before. If nothing between it and the position begins a passage, the two are
            one, and the rest of it is returned.
    """
    first, last = max(0, position - _LONGEST), min(len(text), position + _LONGEST)
    line = max(text.rfind("\n", first, position), text.rfind('"', first, position))
    end = _END.search(text, max(done, position), last)
    return (
        line + 1 if line >= 0 else _find_start(text, max(first, min(done, position)), position),
        end.start() if end else last,
    )


def _find_start(text: str, first: int, position: int) -> int:
    before = _START.match(text, first, position)
    return before.end() if before else first


def _count_words(text: str) -> int:
    return sum(1 for _ in _LETTERS.finditer(text))


def _capitalize_word(word: re.Match[str]) -> str:
    if word.group().lower() in _SMALL_WORDS:
        return word.group()
    first = word.group()[0].upper()
    # The capital form of some letters has two characters.
    return first + word.group()[1:] if len(first) == 1 else word.group()
