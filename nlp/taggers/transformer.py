"""Token classifiers as learnt detectors: the shipped `default`, or one of the user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.nlp.entity_types import ENTITY_TYPES, FOREIGN_TYPES, NOT_PERSONAL
from lexveil.nlp.taggers.card import ADAPTER, CARD, Card, public_folder
from lexveil.nlp.taggers.contract import WEIGHTS, Sensitivity, TaggerRefused
from lexveil.nlp.taggers.pieces import (
    OVERLAP,
    PIECE,
    Floats,
    Integers,
    WordPieces,
    middles,
    of_words,
    starts_of,
)
from lexveil.nlp.taggers.quantized import session
from lexveil.nlp.text import Span

__all__ = ["Posteriors", "TaggerRefused", "TokenClassifier", "load_default", "load_folder"]

Forward = Callable[[Integers, Integers], Floats]
"""ids, shapes (N,) -> logits (N, labels)."""

# A user's own model has no operating points; these are what a calibrated one would need.
_OPERATING: Mapping[Sensitivity, float] = {"balanced": 0.5, "strict": 0.25}
_PREFIX = re.compile(r"^[BIESLU][-_](?=.)")
_UNNAMED = re.compile(r"LABEL_\d+")
_OUTSIDE = "O"
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
# Names that token classifiers in use give their labels, beside those of `FOREIGN_TYPES`.
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
    """Of one text: `words` (W, 2) in characters, `probabilities` (W, T) that a word is of each type and is to
    be masked; what is missing to 1 is the probability that it may stay."""

    words: Integers = field(repr=False)
    probabilities: Floats = field(repr=False)


class TokenClassifier:
    """`lexveil.nlp.taggers.contract.Tagger` over word pieces. Safe to share between threads."""

    def __init__(
        self,
        forward: Forward,
        pieces: WordPieces,
        labels: Sequence[str],
        threshold: float,
        *,
        languages: frozenset[str] | None,
        insists: bool = False,
        size: int = PIECE,
        first: bool = False,
    ) -> None:
        """`labels` are of `ENTITY_TYPES`, or anything else for what may stay. `size` is the longest input;
        `first`: the first piece of a word speaks for it, else all do. `insists`: what it finds is masked even
        where the document's wording speaks against it (`lexveil.nlp.detection.propagation.plausible`)."""
        self.types = tuple(sorted(set(labels).intersection(ENTITY_TYPES)))
        self.languages = languages
        self.insists = insists
        self._forward = forward
        self._pieces = pieces
        self._threshold = threshold
        self._size = size - 2
        self._first = first
        self._of_type = np.array([[label == name for name in self.types] for label in labels], np.float32)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [
            list(self.decode(text, posteriors, self._threshold))
            for text, posteriors in zip(texts, self.posteriors(texts), strict=True)
        ]

    def posteriors(self, texts: Sequence[str]) -> Iterator[Posteriors]:
        for text in texts:
            encoded = self._pieces.encode(text)
            read = np.zeros((len(encoded.ids), len(self.types)), np.float32)
            starts = starts_of(len(encoded.ids), self._size, min(OVERLAP, self._size // 4))
            bounds = middles(starts, self._size, len(encoded.ids)).tolist()
            for number, start in enumerate(starts.tolist()):
                part = slice(start, start + self._size)
                probabilities = self._read(encoded.ids[part], encoded.shapes[part])
                begin, end = bounds[number], bounds[number + 1]
                read[begin:end] = probabilities[begin - start : end - start]
            yield Posteriors(encoded.words, of_words(read, encoded, first=self._first))

    def _read(self, ids: Integers, shapes: Integers) -> Floats:
        logits = self._forward(
            np.concatenate(([self._pieces.cls], ids, [self._pieces.sep])), np.pad(shapes, 1)
        )[1:-1]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (exponentials / exponentials.sum(axis=1, keepdims=True)) @ self._of_type

    def decode(self, text: str, posteriors: Posteriors, threshold: float) -> Iterator[Span]:
        """Runs of words that are to be masked with at least `threshold`, each of its likeliest type.

        A run ends with its type and with the line, and neither begins nor ends with punctuation. Its score is
        the mean probability of its words.
        """
        inside = posteriors.probabilities.sum(axis=1)
        at = np.flatnonzero(inside >= threshold)
        if not len(at):
            return
        kind = posteriors.probabilities[at].argmax(axis=1)
        words = posteriors.words[at].tolist()
        between = [text.find("\n", before, after) >= 0 for (_, before), (after, _) in pairwise(words)]
        breaks = (np.diff(at) > 1) | (np.diff(kind) != 0) | np.array(between, np.bool_)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(at)]
        for begin, end in pairwise(edges):
            named = [i for i in range(begin, end) if text[words[i][0]].isalnum()]
            if named:
                score = float(inside[at[named]].mean())
                start, stop = words[named[0]][0], words[named[-1]][1]
                yield Span(start, stop, self.types[kind[begin]], min(score, 1.0), type(self).__name__)


def load_default(sensitivity: Sensitivity = "balanced") -> TokenClassifier:
    """The shipped classifier: built at first use (some seconds), then read from the user's cache.

    Raises: TaggerRefused.
    """
    return _load_adapter(WEIGHTS / "default", sensitivity)


def load_folder(folder: Path, sensitivity: Sensitivity = "balanced") -> TokenClassifier:
    """What `lexveil.nlp.detector_training.__main__ default` wrote, or a token classifier in the form of
    `transformers`.

    Of the latter only *.safetensors are opened, no code of the folder is run and nothing is downloaded. Its
    labels, plain or with B-, I- and the like, become our types; one without a counterpart becomes MISC.

    Raises: TaggerRefused.
    """
    if not folder.is_dir():
        raise TaggerRefused("missing")
    if (folder / CARD).is_file() and (folder / ADAPTER).is_file():
        return _load_adapter(folder.resolve(), sensitivity)
    return _load_foreign(folder.resolve(), sensitivity)


@lru_cache(maxsize=4)
def _load_adapter(folder: Path, sensitivity: Sensitivity) -> TokenClassifier:
    card = Card.load(folder)
    run = _session(folder).run

    def forward(ids: Integers, shapes: Integers) -> Floats:
        return run(None, {"ids": ids[None], "shapes": shapes[None]})[0][0]

    try:
        pieces = WordPieces.load(public_folder() / "tokenizer.json")
    except Exception:
        raise TaggerRefused("unsupported_tokenizer") from None
    return TokenClassifier(
        forward,
        pieces,
        card.labels,
        card.operating[sensitivity],
        languages=frozenset(card.languages),
        insists=sensitivity == "strict",
    )


@lru_cache(maxsize=2)
def _session(folder: Path) -> Any:
    return session(folder)


@lru_cache(maxsize=2)
def _load_foreign(folder: Path, sensitivity: Sensitivity) -> TokenClassifier:
    if not any(folder.glob("*.safetensors")):
        raise TaggerRefused("no_safetensors")
    # transformers makes up an empty tokenizer where a folder has none.
    if not any(path for pattern in _TOKENIZERS for path in folder.glob(pattern)):
        raise TaggerRefused("unsupported_tokenizer")
    try:
        model, tokenizer, untrained = _opened(folder)
    except Exception:
        raise TaggerRefused("unreadable") from None
    names: dict[int, str] = model.config.id2label
    labels = _types([names[number] for number in range(len(names))])
    if any(name.startswith("classifier") for name in untrained):
        # An encoder without a trained head would mark words at random.
        raise TaggerRefused("no_labels")
    specials = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    if not tokenizer.is_fast or None in specials or len(tokenizer) > model.config.vocab_size:
        raise TaggerRefused("unsupported_tokenizer")
    return TokenClassifier(
        partial(_logits, model.eval()),
        WordPieces(tokenizer.backend_tokenizer, *specials),
        labels,
        _OPERATING[sensitivity],
        languages=None,
        insists=sensitivity == "strict",
        # Positions of RoBERTa start at 2, and only its tokenizer says so.
        size=min(PIECE, tokenizer.model_max_length, model.config.max_position_embeddings),
        first=True,
    )


def _opened(folder: Path) -> tuple[Any, Any, list[str]]:
    """Model, tokenizer, and the names of weights that the folder lacks."""
    # Read when huggingface_hub is first imported; local_files_only below holds if that was earlier.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
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


def _logits(model: Any, ids: Integers, shapes: Integers) -> Floats:
    import torch

    del shapes
    with torch.inference_mode():
        return model(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy()


def _types(labels: Sequence[str]) -> list[str]:
    """A model's labels -> ours. Raises: TaggerRefused (no_labels)."""
    plain = [_PREFIX.sub("", label).upper() for label in labels]
    if _OUTSIDE not in plain or len(set(plain)) < 2 or any(map(_UNNAMED.fullmatch, plain)):
        raise TaggerRefused("no_labels")
    types = {name: name for name in ENTITY_TYPES} | FOREIGN_TYPES | dict(_LABELS)
    return [label if label == _OUTSIDE else types.get(label, "MISC") for label in plain]
