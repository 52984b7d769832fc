"""Language of a document, and the languages whose rules read a part of it.

A writing system that belongs to one language decides by itself. py3langid (a naive Bayes classifier over byte
n-grams, 4.5 MB, offline: Lui and Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool")
separates the others. On 906 documents in six languages (en, de, zh, pt, it, pl) it made no error, at 0.4 ms
each; lingua, at 96 MB, was as accurate there and 8 times slower.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lexveil.nlp.cache import cache_folder, mark_used, write_cached
from lexveil.nlp.letters import HAN, has_han
from lexveil.nlp.vocabulary import CONTINENTAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from py3langid.langid import LanguageIdentifier

SERVED_LANGUAGES: frozenset[str] = frozenset({"en", "zh", "de"})
"""Languages that a learned detector or a complete set of rules covers."""
# These write nouns with a capital, or have no capitals: the rules that go by capitals cannot read them.
_NOT_CONTINENTAL = SERVED_LANGUAGES | {"", "lb", "ja", "ko", "th", "he", "ar", "fa", "ur", "ps", "ku"}

# A long document is sampled at its start, middle and end.
_SAMPLES = 3
_SAMPLE_SIZE = 800
_FEWEST_LETTERS = 20
_LEAST_CONFIDENCE = 0.3
# One character of these scripts carries as much information as a syllable or a word of the others.
_DENSE = 3

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
# Name, letters and weight of each letter.
_SCRIPTS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("latin", _LATIN, 1),
    ("han", re.compile(f"[{HAN}]+"), _DENSE),
    ("kana", re.compile(r"[\u3041-\u30ff\u31f0-\u31ff]+"), _DENSE),
    ("hangul", re.compile(r"[\uac00-\ud7a3\u1100-\u11ff]+"), _DENSE),
    ("cyrillic", re.compile(r"[\u0400-\u052f]+"), 1),
    ("greek", re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+"), 1),
    ("arabic", re.compile(r"[\u0620-\u06ff\ufb50-\ufdff\ufe70-\ufefc]+"), 1),
    ("hebrew", re.compile(r"[\u0590-\u05ff]+"), 1),
    ("thai", re.compile(r"[\u0e00-\u0e7f]+"), 1),
)
_OTHER_SCRIPT = re.compile("|".join(letters.pattern for _, letters, _ in _SCRIPTS[1:]).replace("]+|[", ""))
# The only language of a script; for the other scripts, the candidates of the classifier.
_ONLY_LANGUAGE = {"han": "zh", "hangul": "ko", "greek": "el", "hebrew": "he", "thai": "th", "kana": "ja"}
_CANDIDATES = {
    "latin": (
        "en de fr es it pt nl pl cs sk sl hr ro hu sv da no fi et lv lt tr ga cy mt is sq ca eu gl lb "
        "id ms vi sw af la tl"
    ),
    "cyrillic": "ru uk bg be mk sr kk ky mn tg",
    "arabic": "ar fa ur ps ku",
}
LANGUAGES: frozenset[str] = frozenset((*_ONLY_LANGUAGE.values(), *" ".join(_CANDIDATES.values()).split()))
"""Languages that can be distinguished."""
_SURE_LENGTH = 160
# A larger share of Latin letters in Chinese text is more than names and units.
_LATIN_SHARE = 0.2
# Attributes of a `LanguageIdentifier` that are tables.
_TABLES = ("nb_ptc", "nb_pc", "tk_nextmove", "tk_row", "tk_output")
# Japanese writes its content words with Chinese characters, and its grammar with kana.
_KANA_SHARE = 0.1
# Small words that tell English and German from each other and from all languages of Latin script.
_SMALL_WORD = re.compile(r"(?<![^\W\d_])[a-z]+(?![^\W\d_])")
_ENGLISH = frozenset("the of and to that".split())  # noqa: SIM905
_GERMAN = frozenset("der die das und des dem den ist nicht von mit zu im auf für".split())  # noqa: SIM905
_OTHERS = frozenset(
    """
    de la le les et du que el los las un una il di che della da dos em het een van na je se su og att som ja
    nie jest ke ang ng dan yang ve bir bu
    """.split()  # noqa: SIM905
)
_FEWEST_WORDS = 40
_LEAST_THE, _LEAST_ENGLISH, _LEAST_UND, _LEAST_GERMAN = 0.03, 0.10, 0.01, 0.12
_MOST_OTHERS = 0.1
_GERMAN_WORDS = re.compile(r"\b(?:und|der|die|das|nicht|ist|wird|wurde|dem|den|des|ein|eine|mit|von|zu)\b")


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of the main language of `text`, or "" if there is too little text."""
    sample = _sample(text)
    scripts = _SCRIPTS if _OTHER_SCRIPT.search(sample) else _SCRIPTS[:1]
    weights = dict.fromkeys((name for name, _, _ in _SCRIPTS), 0)
    weights |= {name: weight * _count_letters(letters, sample) for name, letters, weight in scripts}
    if weights["kana"] > _KANA_SHARE * (weights["kana"] + weights["han"]):
        weights["kana"] += weights.pop("han")
    script = max(weights, key=lambda name: weights[name])
    if weights[script] < (2 * _DENSE if script in _ONLY_LANGUAGE else _FEWEST_LETTERS):
        return ""
    if script in _ONLY_LANGUAGE:
        return _ONLY_LANGUAGE[script]
    return _classify(script, sample)


def select_rules(text: str, main: str) -> tuple[str, ...]:
    """Return the languages whose rules read this part of a document: `SERVED_LANGUAGES` or `CONTINENTAL`.

    These are the document's language `main`, the language of the part if it differs, and Chinese wherever a
    Chinese character occurs. Other languages share the rules of `CONTINENTAL`, or get those of English if
    names are not known by their capitals.
    """
    han = has_han(text)
    if main not in _NOT_CONTINENTAL:
        own = _classify("latin", _sample(text)) if len(text) >= _SURE_LENGTH else ""
        # A part in English or German has its own rules. The language of a short text is a guess.
        shared = (own,) if own in ("en", "de") else (CONTINENTAL,) if own else ("en", CONTINENTAL)
        return (*shared, *(("zh",) if han else ()))
    languages: set[str] = set()
    if not han or _count_letters(_LATIN, text) > _LATIN_SHARE * len(text):
        known_english = main == "en" and not _looks_german(text)
        own = "en" if known_english else _classify("latin", _sample(text))
        languages = {language for language in (main, own) if language in ("en", "de")} or {"en"}
    if han:
        languages.add("zh")
    return tuple(sorted(languages, key=("en", "de", "zh").index))


def _classify(script: str, sample: str) -> str:
    if script == "latin" and (plain := _read_small_words(sample)):
        return plain
    language, confidence = _load_classifier(script).classify(sample)
    return language if confidence >= _LEAST_CONFIDENCE else ""


def _read_small_words(sample: str) -> str:
    """Return "en" or "de" if the small words leave no doubt, else "".

    The classifier takes ten times as long.
    """
    words = Counter(_SMALL_WORD.findall(sample))
    total = words.total()
    if total < _FEWEST_WORDS:
        return ""
    english, german, others = (
        sum(words[word] for word in group) / total for group in (_ENGLISH, _GERMAN, _OTHERS)
    )
    if words["the"] >= _LEAST_THE * total and english >= _LEAST_ENGLISH:
        return "en" if max(german, others) <= _MOST_OTHERS * english else ""
    if min(words["und"], words["der"]) >= _LEAST_UND * total and german >= _LEAST_GERMAN:
        return "de" if max(english, others) <= _MOST_OTHERS * german else ""
    return ""


def _looks_german(text: str) -> bool:
    return len(_GERMAN_WORDS.findall(text)) > len(text) / 200


def _sample(text: str) -> str:
    if len(text) <= _SAMPLES * _SAMPLE_SIZE:
        return text
    step = (len(text) - _SAMPLE_SIZE) // (_SAMPLES - 1)
    return "\n".join(text[k * step : k * step + _SAMPLE_SIZE] for k in range(_SAMPLES))


def _count_letters(letters: re.Pattern[str], text: str) -> int:
    return sum(map(len, letters.findall(text)))


@cache
def _load_classifier(script: str) -> LanguageIdentifier:
    from py3langid.langid import LanguageIdentifier

    tables, languages = _read_tables()
    # Each script's classifier gets the same tables, and chooses its columns of them.
    classifier = LanguageIdentifier(
        tables["nb_ptc"],
        tables["nb_pc"],
        languages,
        tables["tk_nextmove"].data,  # a view: Python's own integers, without a copy of forty megabytes
        tables["tk_output"].tolist(),
        norm_probs=True,
        tk_row=tables["tk_row"].tolist(),
    )
    classifier.set_languages(_CANDIDATES[script].split())
    return classifier


@cache
def _read_tables() -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the tables of py3langid for our candidates, and their languages.

    py3langid unpacks its model in every process, into a temporary file of 68 MB. Here the first process of a
    user unpacks it, and leaves what is needed in the user's cache.
    """
    from safetensors.numpy import save

    path = cache_folder() / f"languages-{_compute_key()}.safetensors"
    cached = _read_cached(path)
    if cached is not None:
        mark_used(path)
        return cached
    tables, languages = _unpack_tables()
    with suppress(OSError):  # without a writable cache, every process unpacks it
        write_cached(path, save(tables, {"languages": " ".join(languages)}))
    return tables, languages


def _read_cached(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]] | None:
    """Return the tables and languages of a file, or None if it is missing or holds anything else."""
    # Imported here: the settings name languages, and every command reads settings.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            tables = {name: file.get_tensor(name) for name in _TABLES}
            languages = file.metadata()["languages"].split()
        return (tables, languages) if _fit(tables, languages) else None
    # A file without metadata, with other tables or with tables that are empty or no numbers.
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError):
        return None


def _fit(tables: Mapping[str, NDArray[Any]], languages: Sequence[str]) -> bool:
    """Return True if the tables fit together: no index in one is outside of another."""
    weights, priors, moves, rows, outputs = (tables[name] for name in _TABLES)
    return (
        weights.shape[1:] == priors.shape == (len(languages),)
        and rows.shape == outputs.shape
        and all(table.ndim == 1 and table.dtype.kind in "iu" for table in (moves, rows, outputs))
        and weights.dtype.kind == priors.dtype.kind == "f"
        and bool(moves.size >= (int(rows.max()) + 1) << 8)
        and bool(moves.min() >= 0 and moves.max() < len(rows))
        and bool(outputs.min() >= -1 and outputs.max() < len(weights))
        and {*languages}.issuperset(" ".join(_CANDIDATES.values()).split())
    )


def _compute_key() -> str:
    return f"{version('py3langid')}-{hashlib.sha256(repr(_CANDIDATES).encode()).hexdigest()[:16]}"


def _unpack_tables() -> tuple[dict[str, NDArray[Any]], list[str]]:
    import numpy as np
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    whole = LanguageIdentifier.from_model_file(MODEL_FILE)
    whole.set_languages(" ".join(_CANDIDATES.values()).split())
    return {name: np.ascontiguousarray(getattr(whole, name)) for name in _TABLES}, list(whole.nb_classes)
