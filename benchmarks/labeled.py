"""Labeled corpora of legal text, with the owner of each document and the part that is tested on; masked."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.encrypted_real import CORPORA, records_of
from benchmarks.legal_text import select_contracts
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace.code import code_digest

LEAST_ITEMS = 10  # of a class, in the training part
REDRAWN = {"charges": 0.3, "judgments": 0.3}  # share of owners whom a seed draws to test on
PROCEDURE = {"29", "34", "35", "37", "39", "41", "46", "50", "57"}  # articles of each judgment
LANGUAGES = ("en", "de", "it", "pl")

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Document:
    """A labelled document of a corpus."""

    text: str
    label: str
    owner: str
    tested: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents of classes that have enough of them.

    Attributes:
        documents: the documents, those to learn from first.
        masked: their masked texts.
        classes: names of the classes.
    """

    name: str
    documents: Sequence[Document]
    masked: Sequence[str]
    classes: tuple[str, ...]

    @property
    def labels(self) -> Labels:
        return np.array([self.classes.index(one.label) for one in self.documents])

    @property
    def tested(self) -> NDArray[np.bool_]:
        return np.array([one.tested for one in self.documents])

    @property
    def owners(self) -> NDArray[np.str_]:
        return np.array([one.owner for one in self.documents])

    def draw(self, seed: int) -> Corpus:
        """Return the corpus with other owners to test on, if it is a small one."""
        share = REDRAWN.get(self.name)
        if share is None:
            return self
        drawn = [replace(one, tested=_hash_to_unit(f"{seed} {one.owner}") < share) for one in self.documents]
        return replace(self, documents=drawn)


def load_corpus(name: str, most: int, cache: Path | None, detector: str = "light") -> Corpus:
    """Read and mask a corpus, and leave out classes with too few documents."""
    documents = sorted(READERS[name](), key=lambda one: _hash_to_unit(one.text))[:most]
    counts = Counter(one.label for one in documents if not one.tested)
    kept = [one for one in documents if counts[one.label] >= LEAST_ITEMS]
    kept.sort(key=lambda one: one.tested)
    classes = tuple(sorted({one.label for one in kept}))
    return Corpus(name, kept, _mask([one.text for one in kept], cache, detector), classes)


def _mask(texts: Sequence[str], cache: Path | None, detector: str) -> list[str]:
    name = digest_texts([code_digest("lexveil.pipeline.masking.texts"), detector, *texts])
    path = None if cache is None else cache / f"{name}.masked"
    if path is not None and path.is_file():
        return path.read_text(encoding="utf-8").split("\0")
    settings, masked = MaskSettings(detector=detector), list[str]()
    for start in range(0, len(texts), 64):
        masked += [one.text for one in mask_texts(texts[start : start + 64], settings, bytes(32))]
    if path is not None:
        path.write_text("\0".join(masked), encoding="utf-8")
    return masked


def _read_provisions() -> list[Document]:
    return [
        Document(record["text"], record["label"], record["meta"]["contract"], record["split"] != "train")
        for record in records_of("contract_provisions_ledgar_labels")
    ]


def _read_clauses() -> list[Document]:
    # The corpus has no part for development here: a fifth of the contracts is tested on.
    return [
        Document(record["text"], record["labels"][0], owner, _hash_to_unit(owner) < 0.2)
        for record in records_of("cuad_clauses")
        if len(record["labels"]) == 1
        for owner in [record["meta"]["contract"]]
    ]


def _read_contracts() -> list[Document]:
    learned = {record["id"] for record in select_contracts()}  # by the table of words
    return [
        Document(record["text"][:30_000], record["label"], owner, record["split"] != "train")
        for record in records_of("contraxsuite_contracts")
        if record["id"] not in learned
        for owner in [str(record["meta"].get("cik", record["id"]))]
    ]


def _read_terms(language: str) -> list[Document]:
    documents: list[Document] = []
    for record in records_of("unfair_tos_multilingual"):
        meta = record["meta"]
        if len(record["labels"]) == 1 and meta["lang"] == language:
            owner = meta["company"]
            documents.append(
                Document(record["text"], record["labels"][0], owner, _hash_to_unit(owner) < 0.25)
            )
    return documents


def _read_charges() -> list[Document]:
    documents: list[Document] = []
    for record in records_of("judge_zh_judgments"):
        if record["label"]:
            charge = record["label"].removesuffix("罪")
            text = re.sub(re.escape(charge), "", record["text"])
            documents.append(Document(text, record["label"], record["id"], _hash_to_unit(record["id"]) < 0.3))
    return documents


def _read_judgments() -> list[Document]:
    path = CORPORA / "tab" / "echr_traindev113.json"
    documents: list[Document] = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        articles: Any = record["meta"]["articles"]  # JSON, as codes of its characters
        rights = {name for name in json.loads(bytes(articles)) if name not in PROCEDURE}
        text = re.sub(r"\bArt(?:icles?|s?\.)\s+\d+(?:\s*§+\s*\d+)?", "", record["text"])
        label = "fair trial" if rights == {"6"} else "another right"
        documents.append(Document(text, label, record["doc_id"], _hash_to_unit(record["doc_id"]) < 0.3))
    return documents


READERS: dict[str, Callable[[], list[Document]]] = {
    "provisions": _read_provisions,
    "clauses": _read_clauses,
    "contracts": _read_contracts,
    **{f"terms_{language}": lambda one=language: _read_terms(one) for language in LANGUAGES},
    "charges": _read_charges,
    "judgments": _read_judgments,
}


def digest_texts(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _hash_to_unit(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
