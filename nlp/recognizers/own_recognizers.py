"""The recognizers of an office: classes, and Presidio's files, which Presidio's own loader reads."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import regex
import yaml
from presidio_analyzer import EntityRecognizer, PatternRecognizer, RecognizerResult, RemoteRecognizer
from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

from lexveil.nlp.entity_types import ENTITY_TYPES, FOREIGN_TYPES, NOT_PERSONAL
from lexveil.nlp.letters import HAN, SPACED_WORD
from lexveil.nlp.recognizers.own_rules import SOURCE, OwnRules, OwnRulesError, find_entry_point, read_file
from lexveil.nlp.recognizers.scores import RESERVED
from lexveil.nlp.vocabulary import CONTINENTAL, UNKNOWN

_OWN = frozenset({"en", "de", "zh"})  # the other languages share rules
_SHARED = (CONTINENTAL, UNKNOWN)
_ANY_LANGUAGE = (*sorted(_OWN), *_SHARED)
_DEFAULT_LANGUAGE = "en"  # Presidio's default for a class that names no language
# Presidio's adapters of models, which the learned detector replaces.
_ADAPTERS = frozenset({"SpacyRecognizer", "StanzaRecognizer", "TransformersRecognizer"})
# If a recognizer has words of context, a lower score counts only near one of them, which raises it.
_LEAST_SCORE, _CONTEXT_SCORE = 0.4, 0.35
_CONTEXT_WORDS, _CONTEXT_LENGTH = 5, 100
_RUN = re.compile(r"\w+")
_WORD = re.compile(f"{SPACED_WORD}+|[{HAN}]")


class AdaptedRecognizer(EntityRecognizer):
    """A recognizer of an office, whose findings have types of Lexveil."""

    def __init__(self, inner: EntityRecognizer, language: str, types: Mapping[str, str]) -> None:
        """Adapt a recognizer.

        Args:
            inner: the recognizer.
            language: language of Lexveil that it reads.
            types: the type of Lexveil for each type that it may find.
        """
        self._inner = copy.copy(inner)
        self._types = types
        self._context = {phrase for one in inner.context or () if (phrase := _join_words(one))}
        self._longest_context = max((phrase.count(" ") for phrase in self._context), default=0)
        own = sorted({types[kind] for kind in inner.supported_entities} - {NOT_PERSONAL})
        super().__init__(supported_entities=own, name=inner.name, supported_language=language)

    def load(self) -> None:
        """Do nothing: the inner recognizer is loaded already."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Request the findings whose types are in `entities`, and return all that the recognizer finds.

        Raises:
            OwnRulesError: a finding is outside of the text, or of a type that is not known.
        """
        wanted = [kind for kind in self._inner.supported_entities if self._types[kind] in entities]
        found = self._inner.analyze(text, wanted, nlp_artifacts) if wanted else []
        return [result for one in found or () if (result := self._to_result(text, one)) is not None]

    def _to_result(self, text: str, found: RecognizerResult) -> RecognizerResult | None:
        if not 0 <= found.start < found.end <= len(text):
            raise OwnRulesError(f"recognizers: {self.name} finds something outside of the text")
        kind = self._types.get(found.entity_type)
        if kind is None:  # the type is not shown: code that does not announce it may put anything there
            raise OwnRulesError(f"recognizers: {self.name} finds a type that is neither announced nor known")
        score = min(1.0, float(found.score))
        if self._context and self._has_context(text, found.start):
            score = min(1.0, max(score + _CONTEXT_SCORE, _LEAST_SCORE))
        if kind == NOT_PERSONAL or (self._context and score < _LEAST_SCORE):
            return None
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(kind, found.start, found.end, score, recognition_metadata=metadata)

    def _has_context(self, text: str, start: int) -> bool:
        before = text[max(0, start - _CONTEXT_LENGTH) : start]
        runs = [run.start() for run in _RUN.finditer(before)][-_CONTEXT_WORDS - self._longest_context :]
        words = _join_words(before[runs[0] :]) if runs else ""
        return any(f" {phrase} " in f" {words} " for phrase in self._context)


def _join_words(text: str) -> str:
    """Return the folded words of a text; each Chinese character is one."""
    return " ".join(_WORD.findall(text.casefold()))


def load_recognizers(rules: OwnRules) -> list[EntityRecognizer]:
    """Load the recognizers of an office, one instance for each language of Lexveil that it reads.

    Raises:
        OwnRulesError: one of them cannot be used.
    """
    _keep_offline()
    types = {**{kind: kind for kind in ENTITY_TYPES}, **FOREIGN_TYPES, **dict(rules.types)}
    loaded: list[EntityRecognizer] = []
    for name in rules.recognizers:
        where = f"recognizers: {name}"
        inner = _create(where, _find_class(where, name))
        stated = inner.supported_language
        languages = _ANY_LANGUAGE if stated == _DEFAULT_LANGUAGE else _list_rules(stated)
        loaded += [_adapt(where, inner, language, types) for language in languages]
    for name in rules.files:
        where = f"recognizer_files: {name}"
        loaded += [_adapt(where, inner, language, types) for inner, language in _read_yaml(where, name)]
    return loaded


def _keep_offline() -> None:
    # Presidio's rules for addresses use this library, which would download its list; a copy ships with it.
    import tldextract.tldextract

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())


def _find_class(where: str, name: str) -> type[EntityRecognizer]:
    module_name, colon, class_name = name.rpartition(":")
    try:
        if not colon:
            found: Any = find_entry_point(where, name).load()
        else:
            found = getattr(_load_module(module_name), class_name, None)
    except OwnRulesError:
        raise
    except (ImportError, OSError):
        raise OwnRulesError(f"{where}: there is no such module, or it cannot be imported") from None
    except Exception as error:  # its message may quote anything
        raise OwnRulesError(f"{where}: its module fails with {type(error).__name__}") from None
    if not inspect.isclass(found) or not issubclass(found, EntityRecognizer):
        raise OwnRulesError(f"{where}: there is no EntityRecognizer of Presidio of this name")
    return found


def _create(where: str, kind: type[EntityRecognizer]) -> EntityRecognizer:
    make = cast("Any", kind)
    try:
        return make()
    except Exception as error:
        raise OwnRulesError(f"{where}: it cannot be created ({type(error).__name__})") from None


def _load_module(name: str) -> ModuleType:
    if not name.endswith(SOURCE):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"_lexveil_own_{Path(name).stem}", name)
    if spec is None or spec.loader is None:
        raise ImportError
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read_yaml(where: str, name: str) -> Iterator[tuple[EntityRecognizer, str]]:
    """Yield the recognizers of a file of Presidio, each with a language of Lexveil that it reads."""
    try:
        content: Any = yaml.safe_load(read_file(name))
        content.setdefault("supported_languages", sorted({*_OWN, "fr", *_list_languages(content)}))
        registry = RecognizerRegistryProvider(registry_configuration=content).create_recognizer_registry()
        recognizers = list(registry.recognizers)
        _check_patterns(recognizers)
    except OwnRulesError:
        raise
    except Exception as error:  # pydantic's, yaml's, Presidio's own
        reason = f"Presidio cannot read it as a file of recognizers ({type(error).__name__})"
        raise OwnRulesError(f"{where}: {reason}") from None
    for recognizer in recognizers:
        if isinstance(recognizer, RemoteRecognizer):
            raise OwnRulesError(f"{where}: {recognizer.name} sends texts to a service")
        if type(recognizer).__name__ not in _ADAPTERS:
            for language in _list_rules(recognizer.supported_language):
                yield recognizer, language


def _list_languages(content: Any) -> set[str]:
    """Return the languages that the recognizers of a file name."""
    named: set[str] = set()
    for one in content["recognizers"]:
        entry = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        languages: list[Any] = [entry.get("supported_language"), *(entry.get("supported_languages") or ())]
        named.update(one["language"] if isinstance(one, dict) else one for one in languages if one)
    return named


def _check_patterns(recognizers: Sequence[EntityRecognizer]) -> None:
    """Compile the patterns as Presidio does when it first uses them."""
    for recognizer in recognizers:
        if isinstance(recognizer, PatternRecognizer):
            for pattern in recognizer.patterns or ():
                regex.compile(pattern.regex, flags=recognizer.global_regex_flags or 0)


def _list_rules(language: str) -> tuple[str, ...]:
    """Return the languages of our rules beside which a recognizer for a language runs."""
    return (language,) if language in _OWN else _SHARED


def _adapt(where: str, inner: EntityRecognizer, language: str, types: Mapping[str, str]) -> EntityRecognizer:
    """Return the recognizer with types of Lexveil, for one language."""
    unknown = [kind for kind in inner.supported_entities if kind not in types]
    if unknown:
        reason = f"{unknown[0]} is not a type of Lexveil; map it to one in [mask.foreign_types]"
        raise OwnRulesError(f"{where}: {reason}")
    if inner.name in RESERVED:
        raise OwnRulesError(f"{where}: Lexveil itself uses the name {inner.name}; give it another")
    return AdaptedRecognizer(inner, language, types)
