"""Make the table of lexical features from public legal text.

Usage: `python -m lexveil.nlp.lexical_training FILE... --out TABLE --seed 7`

FILE has one passage per line, as JSON: `{"document": id, "text": masked text}`; `python -m
benchmarks.legal_text` writes such files. Each FILE is one language. The same seed gives the same table on one
machine.

The directions are those of latent semantic analysis (Deerwester et al. 1990): the right singular vectors of
the passages' TF-IDF. Each language has its own, in the same coordinates: what a coordinate means differs
between languages, and a document has one. Of a direction, the signs and the mean absolute value are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.encoders.lexical import LexicalTable, hash_term, list_terms

DIMENSION = 512
# Passages that contain a word, or a pair of words; and documents: a name is seldom in several.
FEWEST = {"word": 5, "pair": 12}
FEWEST_DOCUMENTS = 4
MOST_SHARE = 0.5
MEAN_PASSAGES = 2000  # of a language
MOST_TERMS = 20_000  # of a language; with 35,000, probes on development data were no better


@dataclass(frozen=True, slots=True)
class _Terms:
    """The terms of one language. Shapes: (terms,), (terms, DIMENSION)."""

    hashes: NDArray[np.uint32]
    directions: NDArray[np.float32]
    shares: NDArray[np.float32]


def train_table(languages: Sequence[Sequence[tuple[str, str]]], seed: int) -> LexicalTable:
    """Make a table.

    Args:
        languages: for each language, pairs of a document's id and one of its passages.
        seed: seed of the randomized singular value decomposition.
    """
    learned = [_learn_directions(passages, seed) for passages in languages]
    best: dict[int, tuple[float, int, NDArray[np.float32]]] = {}
    for language, one in enumerate(learned):
        terms = zip(one.hashes.tolist(), one.directions, one.shares.tolist(), strict=True)
        for term, direction, share in terms:
            if term not in best or share > best[term][0]:
                best[term] = share, language, direction
    hashes = np.array(sorted(best), np.uint32)
    directions = np.stack([best[term][2] for term in hashes.tolist()])
    signs = np.packbits(directions > 0, axis=1)
    weights = np.abs(directions).mean(axis=1)
    owners = np.array([best[term][1] for term in hashes.tolist()], np.uint8)
    zeros = np.zeros((len(languages), DIMENSION), np.float32)
    table = LexicalTable(hashes, signs, weights, owners, zeros)
    samples = [passages[:: max(1, len(passages) // MEAN_PASSAGES)] for passages in languages]
    means = [np.mean([table.embed(text) for _, text in sample], axis=0) for sample in samples]
    return replace(table, means=np.stack(means, dtype=np.float32))


def _learn_directions(passages: Sequence[tuple[str, str]], seed: int) -> _Terms:
    """Return the terms of a language that are common enough, with idf times their singular vectors."""
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize
    from sklearn.utils.extmath import randomized_svd

    columns: dict[int, int] = {}
    is_pair: list[bool] = []
    documents: list[int] = []
    last: list[str] = []
    indices: list[int] = []
    values: list[int] = []
    starts = [0]
    for document, text in sorted(passages):
        for term, count in Counter(list_terms(text)).items():
            column = columns.setdefault(hash_term(term), len(columns))
            if column == len(is_pair):
                is_pair.append(" " in term)
                documents.append(0)
                last.append("")
            if last[column] != document:
                documents[column] += 1
                last[column] = document
            indices.append(column)
            values.append(count)
        starts.append(len(indices))
    shape = (len(starts) - 1, len(columns))
    counts: Any = csr_matrix((1 + np.log(np.array(values, np.float32)), indices, starts), shape=shape)
    frequency = np.bincount(indices, minlength=len(columns))
    fewest = np.where(is_pair, FEWEST["pair"], FEWEST["word"])
    is_kept = (
        (frequency >= fewest)
        & (np.array(documents) >= FEWEST_DOCUMENTS)
        & (frequency < MOST_SHARE * shape[0])
    )
    # The most frequent of them; a word counts as a pair that is twice as frequent.
    order = np.argsort(-frequency * np.where(is_pair, 1, 2) * is_kept, kind="stable")
    is_kept[order[MOST_TERMS:]] = False
    idf = np.log(shape[0] / frequency[is_kept]).astype(np.float32)
    weighted: Any = normalize(counts[:, is_kept].multiply(idf).tocsr())
    iterations: Any = 1
    vectors = randomized_svd(weighted, DIMENSION, n_iter=iterations, random_state=seed)[2]
    hashes = np.fromiter(columns, np.uint32, len(columns))[is_kept]
    shares = (frequency[is_kept] / shape[0]).astype(np.float32)
    return _Terms(hashes, (vectors.T * idf[:, None]).astype(np.float32), shares)


def _read(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield row["document"], row["text"]


def main() -> None:
    """Make the table, write it, and print its digest."""
    from safetensors.numpy import save

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, help="file of the table")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    table = train_table([list(_read(path)) for path in arguments.files], arguments.seed)
    content = save(
        {
            "hashes": table.hashes,
            "signs": table.signs,
            "weights": table.weights.astype(np.float16),
            "languages": table.languages,
            "means": table.means,
        }
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(content)
    print(f"{len(table.hashes)} terms, {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
