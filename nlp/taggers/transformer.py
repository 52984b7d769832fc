"""Token classifiers as learned detectors: the shipped `multilingual`, or one provided by the user."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.nlp.entity_types import ENTITY_TYPES, FOREIGN_TYPES, NOT_PERSONAL
from lexveil.nlp.taggers.card import ADAPTER, CARD, Card, Encoder, open_multilingual, public_folder
from lexveil.nlp.taggers.contract import WEIGHTS, Sensitivity, TaggerError
from lexveil.nlp.taggers.pieces import (
    READ_PIECES,
    Floats,
    Integers,
    WordPieces,
    plan_stretches,
    pool_words,
)
from lexveil.nlp.taggers.quantized import Forward, open_forward
from lexveil.nlp.text import Span

# A user's own model has no operating points; these suit a calibrated one.
_OPERATING: Mapping[Sensitivity, float] = {"balanced": 0.5, "strict": 0.25}
_PREFIX = re.compile(r"^[BIESLU][-_](?=.)")
_UNNAMED = re.compile(r"LABEL_\d+")
_OUTSIDE = "O"
# The number of a flat after that of its house.
_FLAT = re.compile(r"/\w{1,4}(?!\w)")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
# Labels of common token classifiers, in addition to those of `FOREIGN_TYPES`.
_LABELS: Mapping[str, str] = {
    **dict.fromkeys(("NAME", "FIRSTNAME", "LASTNAME", "GIVENNAME", "SURNAME", "MIDDLENAME"), "PERSON"),
    **dict.fromkeys(("FIRST_NAME", "LAST_NAME", "FULL_NAME", "PATIENT", "DOCTOR"), "PERSON"),
    **dict.fromkeys(("CITY", "STATE", "COUNTRY", "COUNTY", "FAC", "LOCATION_OTHER"), "LOCATION"),
    **dict.fromkeys(("STREET", "STREETNAME", "ZIPCODE", "ZIP", "BUILDINGNUM", "BUILDINGNUMBER"), "ADDRESS"),
    **dict.fromkeys(("COMPANY", "COMPANYNAME", "HOSPITAL", "VENDOR"), "ORGANIZATION"),
    **dict.fromkeys(("TELEPHONENUM", "PHONENUMBER", "TELEPHONE", "FAX"), "PHONE"),
    **dict.fromkeys(("DATEOFBIRTH", "DATE_OF_BIRTH", "DOB"), "BIRTH_DATE"),
    **dict.fromkeys(("SOCIALNUM", "SSN", "IDCARDNUM", "TAXNUM", "DRIVERLICENSENUM", "PASSPORT"), "ID_NUMBER"),
    **dict.fromkeys(("CREDITCARDNUMBER", "ACCOUNTNUM", "ACCOUNTNUMBER", "IBAN", "BIC"), "ACCOUNT_NUMBER"),
    **dict.fromkeys(("MONEY", "PERCENT", "CARDINAL", "ORDINAL", "AMOUNT"), "QUANTITY"),
    **dict.fromkeys(("TIME",), "DATE"),
    **dict.fromkeys(("LAW", "LANGUAGE"), NOT_PERSONAL),
}


@dataclass(frozen=True, slots=True)
class Posteriors:
    """Posterior probabilities of one text of W words.

    Attributes:
        words: (W, 2) [start, end) of each word in characters.
        probabilities: (W, T) probability that the word is of each type and must be masked; the remainder to 1
            is the probability that it may stay readable.
    """

    words: Integers = field(repr=False)
    probabilities: Floats = field(repr=False)

    def of(self, start: int, end: int) -> float:
        """Return the largest probability that a word in a range of characters must be masked, or 0."""
        first = np.searchsorted(self.words[:, 1], start, side="right")
        last = np.searchsorted(self.words[:, 0], end, side="left")
        return float(self.probabilities[first:last].sum(axis=1).max(initial=0.0))


class TokenClassifier:
    """A `lexveil.nlp.taggers.contract.Tagger` over word pieces. Safe to share between threads.

    Attributes:
        types: entity types that it finds, sorted.
        languages: ISO 639-1 codes of the languages it was trained on; None if only its user knows them.
        insists: True if its findings are masked even where the document contradicts them.
    """

    def __init__(
        self,
        forward: Forward,
        pieces: WordPieces,
        labels: Sequence[str],
        threshold: float,
        *,
        languages: frozenset[str] | None,
        insists: bool = False,
        size: int = READ_PIECES,
        first: bool = False,
    ) -> None:
        """Combine a model with its tokenizer and labels.

        Args:
            forward: the model.
            pieces: its tokenizer.
            labels: name of each output; a name outside `ENTITY_TYPES` means that the word may stay readable.
            threshold: lowest probability at which a word is masked.
            languages: see the class.
            insists: see the class.
            size: longest input in word pieces, with [CLS] and [SEP].
            first: take the result of a word's first piece; otherwise the mean of all its pieces.
        """
        self.types = tuple(sorted(set(labels).intersection(ENTITY_TYPES)))
        self.languages = languages
        self.insists = insists
        self._forward = forward
        self._pieces = pieces
        self._threshold = threshold
        self._size = size - 2
        self._first = first
        self._label_types = np.array([[label == name for name in self.types] for label in labels], np.float32)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the sorted spans of each text."""
        return [
            list(self.choose(text, posteriors))
            for text, posteriors in zip(texts, self.posteriors(texts), strict=True)
        ]

    def choose(self, text: str, posteriors: Posteriors) -> Iterator[Span]:
        """Yield the spans at its operating point, as `decode` does."""
        return self.decode(text, posteriors, self._threshold)

    def posteriors(self, texts: Sequence[str]) -> Iterator[Posteriors]:
        """Yield the posteriors of each text."""
        for text in texts:
            encoded = self._pieces.encode(text)
            combined = np.zeros((len(encoded.ids), len(self.types)), np.float32)
            for stretch in plan_stretches(text, encoded, self._size):
                start, begin, end = stretch.start, stretch.begin, stretch.end
                probabilities = self._classify(
                    encoded.ids[start : stretch.stop], encoded.shapes[start : stretch.stop]
                )
                combined[begin:end] = probabilities[begin - start : end - start]
            yield Posteriors(encoded.words, pool_words(combined, encoded, first=self._first))

    def _classify(self, ids: Integers, shapes: Integers) -> Floats:
        logits = self._forward(
            np.concatenate(([self._pieces.cls], ids, [self._pieces.sep])), np.pad(shapes, 1)
        )[1:-1]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (exponentials / exponentials.sum(axis=1, keepdims=True)) @ self._label_types

    def decode(self, text: str, posteriors: Posteriors, threshold: float) -> Iterator[Span]:
        """Yield the runs of words that must be masked with at least `threshold`, each of its likeliest type.

        A run ends with its type and with the line, and neither begins nor ends with punctuation. Its score is
        the mean probability of its words.
        """
        masked = posteriors.probabilities.sum(axis=1)
        rows = np.flatnonzero(masked >= threshold)
        if not len(rows):
            return
        kind = posteriors.probabilities[rows].argmax(axis=1)
        words = posteriors.words[rows].tolist()
        line_ends = [text.find("\n", before, after) >= 0 for (_, before), (after, _) in pairwise(words)]
        breaks = (np.diff(rows) > 1) | (np.diff(kind) != 0) | np.array(line_ends, np.bool_)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(rows)]
        for begin, end in pairwise(edges):
            named = [i for i in range(begin, end) if text[words[i][0]].isalnum()]
            if named:
                score = float(masked[rows[named]].mean())
                start, stop = words[named[0]][0], words[named[-1]][1]
                kind_name = self.types[kind[begin]]
                flat = _FLAT.match(text, stop) if kind_name == "ADDRESS" else None
                stop = flat.end() if flat else stop
                yield Span(start, stop, kind_name, min(score, 1.0), type(self).__name__)


def load_multilingual(sensitivity: Sensitivity = "balanced") -> TokenClassifier:
    """Load the shipped classifier: built at first use (some seconds), then read from the user's cache.

    Raises:
        TaggerError: it cannot be used.
    """
    return _load_adapter(WEIGHTS / "multilingual", sensitivity)


def load_folder(folder: Path, sensitivity: Sensitivity = "balanced") -> TokenClassifier:
    """Load an adapter written by `lexveil.nlp.detector_training`, or a classifier of `transformers`.

    Of the latter only *.safetensors files are opened, no code of the folder is executed, and nothing is
    downloaded. Its labels, plain or with prefixes such as B- and I-, are mapped to our types; a label without
    a counterpart becomes MISC.

    Raises:
        TaggerError: the folder cannot be used.
    """
    if not folder.is_dir():
        raise TaggerError("missing")
    if (folder / CARD).is_file() and (folder / ADAPTER).is_file():
        return _load_adapter(folder.resolve(), sensitivity)
    return _load_foreign(folder.resolve(), sensitivity)


@lru_cache(maxsize=4)
def _load_adapter(folder: Path, sensitivity: Sensitivity) -> TokenClassifier:
    card = Card.load(folder)
    return TokenClassifier(
        _open_forward(folder),
        load_pieces(card.encoder),
        card.labels,
        card.operating[sensitivity],
        languages=frozenset(card.languages),
        insists=sensitivity == "strict",
    )


@lru_cache(maxsize=2)
def load_pieces(encoder: Encoder) -> WordPieces:
    """Load the tokenizer of a public encoder.

    Raises:
        TaggerError: it cannot be used.
    """
    if encoder == "multilingual-e5-small":
        stored = open_multilingual()
        return WordPieces(stored.make_tokenizer(), *stored.specials[:3])
    try:
        return WordPieces.load(public_folder() / "tokenizer.json")
    except Exception:
        raise TaggerError("unsupported_tokenizer") from None


@lru_cache(maxsize=2)
def _open_forward(folder: Path) -> Forward:
    return open_forward(folder)


@lru_cache(maxsize=2)
def _load_foreign(folder: Path, sensitivity: Sensitivity) -> TokenClassifier:
    if not any(folder.glob("*.safetensors")):
        raise TaggerError("no_safetensors")
    # transformers invents an empty tokenizer for a folder without one.
    if not any(path for pattern in _TOKENIZERS for path in folder.glob(pattern)):
        raise TaggerError("unsupported_tokenizer")
    try:
        model, tokenizer, untrained = _open_foreign(folder)
    except Exception:
        raise TaggerError("unreadable") from None
    names: dict[int, str] = model.config.id2label
    labels = _map_labels([names[number] for number in range(len(names))])
    if any(name.startswith("classifier") for name in untrained):
        # An encoder without a trained head would label words at random.
        raise TaggerError("no_labels")
    specials = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    if not tokenizer.is_fast or None in specials or len(tokenizer) > model.config.vocab_size:
        raise TaggerError("unsupported_tokenizer")
    return TokenClassifier(
        partial(_compute_logits, model.eval()),
        WordPieces(tokenizer.backend_tokenizer, *specials),
        labels,
        _OPERATING[sensitivity],
        languages=None,
        insists=sensitivity == "strict",
        # Positions of RoBERTa start at 2, which only its tokenizer takes into account.
        size=min(READ_PIECES, tokenizer.model_max_length, model.config.max_position_embeddings),
        first=True,
    )


def _open_foreign(folder: Path) -> tuple[Any, Any, list[str]]:
    """Return model, tokenizer, and the names of the weights that the folder lacks."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(folder, **own)
    model, loading = AutoModelForTokenClassification.from_pretrained(
        folder, use_safetensors=True, dtype="float32", output_loading_info=True, **own
    )
    return model, tokenizer, list(loading["missing_keys"])


def _compute_logits(model: Any, ids: Integers, shapes: Integers) -> Floats:
    import torch

    del shapes
    with torch.inference_mode():
        return model(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy()


def _map_labels(labels: Sequence[str]) -> list[str]:
    """Map a model's labels to our types.

    Raises:
        TaggerError: they are not those of a token classifier (no_labels).
    """
    plain = [_PREFIX.sub("", label).upper() for label in labels]
    if _OUTSIDE not in plain or len(set(plain)) < 2 or any(map(_UNNAMED.fullmatch, plain)):
        raise TaggerError("no_labels")
    types = {name: name for name in ENTITY_TYPES} | FOREIGN_TYPES | dict(_LABELS)
    return [label if label == _OUTSIDE else types.get(label, "MISC") for label in plain]
