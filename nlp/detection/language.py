"""The language of a document, and which languages' rules read a piece of it.

Writing systems decide where one belongs to one language; py3langid (a naive Bayes classifier over byte
n-grams, 4.5 MB, offline: Lui and Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool")
tells the others apart. Measured on 906 documents of `../shared/corpora` (en, de, zh, pt, it, pl) it is right
on all of them at 0.4 ms each; lingua, at 96 MB, is as good there and 8 times slower.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SERVED: frozenset[str] = frozenset({"en", "zh", "de"})
"""Languages that a learnt detector or a whole set of rules reads; others get the rules of English."""

# A long document is read at its head, in its middle and at its end.
_PIECES = 3
_PIECE = 800
_FEWEST_LETTERS = 20
_LEAST_CONFIDENCE = 0.3
# One character of these says as much as a syllable or a word of the others.
_DENSE = 3

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_SCRIPTS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("latin", _LATIN, 1),
    ("han", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+"), _DENSE),
    ("kana", re.compile(r"[\u3041-\u30ff\u31f0-\u31ff]+"), _DENSE),
    ("hangul", re.compile(r"[\uac00-\ud7a3\u1100-\u11ff]+"), _DENSE),
    ("cyrillic", re.compile(r"[\u0400-\u052f]+"), 1),
    ("greek", re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+"), 1),
    ("arabic", re.compile(r"[\u0620-\u06ff\ufb50-\ufdff\ufe70-\ufefc]+"), 1),
    ("hebrew", re.compile(r"[\u0590-\u05ff]+"), 1),
    ("thai", re.compile(r"[\u0e00-\u0e7f]+"), 1),
)
# The only language of a script, or, for the classifier, the languages that law is written in with it.
_ALONE = {"han": "zh", "hangul": "ko", "greek": "el", "hebrew": "he", "thai": "th", "kana": "ja"}
_AMONG = {
    "latin": (
        "en de fr es it pt nl pl cs sk sl hr ro hu sv da no fi et lv lt tr ga cy mt is sq ca eu gl lb "
        "id ms vi sw af la tl"
    ),
    "cyrillic": "ru uk bg be mk sr kk ky mn tg",
    "arabic": "ar fa ur ps ku",
}
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
# So much Latin script beside Chinese is more than names and units.
_LATIN_SHARE = 0.2
# Japanese writes its content words with Chinese characters, and its grammar with kana.
_KANA_SHARE = 0.1


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language that most of `text` is in; "" where there is too little text."""
    sample = _sample(text)
    weights = {name: weight * _letters(pattern, sample) for name, pattern, weight in _SCRIPTS}
    if weights["kana"] > _KANA_SHARE * (weights["kana"] + weights["han"]):
        weights["kana"] += weights.pop("han")
    script = max(weights, key=lambda name: weights[name])
    if weights[script] < (2 * _DENSE if script in _ALONE else _FEWEST_LETTERS):
        return ""
    if script in _ALONE:
        return _ALONE[script]
    return _among(script, sample)


def rules_for(text: str, main: str) -> tuple[str, ...]:
    """The languages, of `SERVED`, whose rules read this piece of a document that is mostly in `main`.

    That is the document's own language, the piece's where it is another one, and Chinese wherever there is a
    Chinese character. The rules of English stand in for languages that are not served.
    """
    han = _HAN.search(text) is not None
    languages: set[str] = set()
    if not han or _letters(_LATIN, text) > _LATIN_SHARE * len(text):
        known_english = main == "en" and not _looks_german(text)
        own = "en" if known_english else _among("latin", _sample(text))
        languages = {language for language in (main, own) if language in ("en", "de")} or {"en"}
    if han:
        languages.add("zh")
    return tuple(sorted(languages, key=("en", "de", "zh").index))


_GERMAN_WORDS = re.compile(r"\b(?:und|der|die|das|nicht|ist|wird|wurde|dem|den|des|ein|eine|mit|von|zu)\b")


def _among(script: str, sample: str) -> str:
    language, confidence = _classifier(script).classify(sample)
    return language if confidence >= _LEAST_CONFIDENCE else ""


def _looks_german(text: str) -> bool:
    return sum(1 for _ in _GERMAN_WORDS.finditer(text)) > len(text) / 200


def _sample(text: str) -> str:
    if len(text) <= _PIECES * _PIECE:
        return text
    step = (len(text) - _PIECE) // (_PIECES - 1)
    return "\n".join(text[k * step : k * step + _PIECE] for k in range(_PIECES))


def _letters(pattern: re.Pattern[str], text: str) -> int:
    return sum(match.end() - match.start() for match in pattern.finditer(text))


@lru_cache(maxsize=len(_AMONG))
def _classifier(script: str) -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    classifier.set_languages(_AMONG[script].split())
    return classifier
