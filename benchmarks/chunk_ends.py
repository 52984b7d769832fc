"""What whole contracts' vectors are worth if chunks are equally long, and if they begin with headings.

`python -m benchmarks.chunk_ends` encodes the contracts of `../shared/corpora/cuad_contracts` in eight chunks
of 128 tokens with both values of `train.chunk_ends`. A logistic regression on the frozen vectors tells their
type: the share it tells, macro-F1, and the share of a contract's type among the ten contracts nearest to it;
means of five folds in five orders. Types with fewer than eight contracts are left out. No text is shown.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.encoders.config import ChunkEnds
from lexveil.nlp.encoders.public import PublicEncoder

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
SEEDS = range(5)
_FOLDS, _FEWEST, _NEAREST = 5, 8, 10
_LENGTH, _LIMIT = 128, 8
_SCALE, _DECAY = 10.0, 2e-3

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def read_contracts(name: str, most: int) -> tuple[list[str], Labels]:
    """Return texts and types of a corpus, in an order drawn with a fixed seed."""
    rows: list[tuple[str, str]] = []
    with zstandard.open(CORPORA / name / "data.jsonl.zst", "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("label"):
                rows.append((record["text"], record["label"]))
    counts = Counter(label for _, label in rows)
    rows = [row for row in rows if counts[row[1]] >= _FEWEST]
    chosen = [rows[number] for number in np.random.default_rng(7).permutation(len(rows))[:most]]
    names = sorted({label for _, label in chosen})
    return [text for text, _ in chosen], np.array([names.index(label) for _, label in chosen])


def encode(texts: Sequence[str], ends: ChunkEnds) -> tuple[Vectors, float]:
    """Return a vector for each text, and the mean length of its chunks."""
    encoder = PublicEncoder.load()
    vectors: list[Vectors] = []
    lengths: list[int] = []
    for start in range(0, len(texts), 16):
        chunks = [encoder.chunks(text, _LENGTH, _LIMIT, ends).ids for text in texts[start : start + 16]]
        lengths += [len(chunk) for one in chunks for chunk in one]
        vectors.append(encoder.document_features(chunks))
    return np.concatenate(vectors), float(np.mean(lengths))


def probe(vectors: Vectors, labels: Labels, seed: int) -> tuple[float, float]:
    """Return the share of types that a regression tells, and its macro-F1."""
    predicted = np.zeros_like(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    rows = torch.from_numpy(np.c_[vectors * _SCALE, np.ones(len(labels))]).float()
    for tested in np.array_split(order, _FOLDS):
        learned = torch.from_numpy(np.setdiff1d(order, tested))
        weights = torch.zeros(rows.shape[1], int(labels.max()) + 1, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

        def loss(learned: torch.Tensor = learned, weights: torch.Tensor = weights) -> torch.Tensor:
            weights.grad = None
            target = torch.from_numpy(labels)[learned]
            value = torch.nn.functional.cross_entropy(rows[learned] @ weights, target)
            value = value + _DECAY * (weights[:-1] ** 2).sum()
            value.backward()
            return value

        optimizer.step(loss)
        predicted[tested] = (rows[torch.from_numpy(tested)] @ weights).argmax(1).numpy()
    scores: list[float] = []
    for label in range(int(labels.max()) + 1):
        hits = int(((predicted == label) & (labels == label)).sum())
        scores.append(2 * hits / max(int((predicted == label).sum() + (labels == label).sum()), 1))
    return float((predicted == labels).mean()), float(np.mean(scores))


def count_near(vectors: Vectors, labels: Labels) -> float:
    """Return the share of a contract's type among those nearest to it."""
    nearness = vectors @ vectors.T
    np.fill_diagonal(nearness, -np.inf)
    nearest = np.argsort(-nearness, axis=1)[:, :_NEAREST]
    return float((labels[nearest] == labels[:, None]).mean())


def measure(options: argparse.Namespace) -> Outcome:
    """Return all figures."""
    torch.set_num_threads(1)  # the regressions are small: threads would wait for each other
    texts, labels = read_contracts(options.corpus, options.most)
    figures: dict[str, Figure] = {}
    for ends in get_args(ChunkEnds):
        vectors, length = encode(texts, ends)
        scores = np.array([probe(vectors, labels, seed) for seed in SEEDS])
        right, f1 = scores.mean(axis=0)
        figures[f"{ends}_right"] = Figure(float(right), None, "share", "higher")
        figures[f"{ends}_right_deviation"] = Figure(float(scores[:, 0].std()), None, "share", "lower")
        figures[f"{ends}_macro_f1"] = Figure(float(f1), None, "F1", "higher")
        figures[f"{ends}_nearest"] = Figure(count_near(vectors, labels), None, "share", "higher")
        figures[f"{ends}_chunk_length"] = Figure(length, None, "tokens", "higher")
    return Outcome(figures, {"contracts": len(texts), "types": int(labels.max()) + 1}, [*SEEDS])


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", default="cuad_contracts", help="or contraxsuite_contracts")
    parser.add_argument("--most", type=int, default=405, help="the most contracts")


if __name__ == "__main__":
    run(__doc__, measure, _add_options)
