"""What a map of the features adds on classes that nobody fitted it to: of public text, or of other classes.

    python -m benchmarks.feature_maps [--corpora NAME ...] [--seeds N] [--most N] [--cache FOLDER]

Only documents that `benchmarks.features` learns from are used: of their owners, each seed holds out a fifth
to test on, and draws half of the classes as `seen`. Every row is a map of `legal-1` of the masked texts,
judged on the other classes (`unseen`) by the probe and the neighbors of `benchmarks.features`; the figures
are what a row adds to `legal-1` itself.

public text     `centered`, `whitened` (covariance of the packaged text), `headings` (the cubes of how near
                a text is to each direction of headings-legal-1, beside it), `stretched` (along these)
seen classes    without privacy: `within` (whitened by the covariance within them), `scores` (of a probe of
                them, beside it), `low_rank` (x + B A x of norm 1, which starts as the identity, trained with
                a head by the recipe of `lora`), `contrastive` (the same map, supervised contrastive loss)
                with it: `low_rank_owner`, `low_rank_document` (epsilon 8)

What a map that knows the seen classes without privacy does not add, a private one cannot. No text is shown.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmarks.contract import Figure, Outcome, make_folder, run
from benchmarks.encrypted_real import CORPORA
from benchmarks.features import DELTA, Vectors, draw_half, find_neighbors, probe, represent_words
from benchmarks.labeled import READERS, Corpus, load_corpus
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, LOGIT_SCALES
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.losses import classification_gradient, classification_loss
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.packaged import read_weights
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import compute_public_moments
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import OwnerData, Row, Split
from lexveil.pipeline.training.fit import build_model_config
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.privacy.dp.engine import ClosedLoss
from lexveil.privacy.dp.engine import train as train_privately
from lexveil.privacy.dp.randomness import SecureRandom

HELD_OUT = 0.2  # of the owners
SHRINKAGE = 1.0  # of a covariance towards a multiple of the identity, in units of its mean eigenvalue
RANK = 16
SCALE = LOGIT_SCALES["lora"]
CONTRASTIVE_STEPS, CONTRASTIVE_RATE, TEMPERATURE = 50, 0.002, 0.05

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A draw of owners and classes.

    Attributes:
        corpus: documents to learn from and, by its `tested`, to test on.
        vectors: `legal-1` of each masked document.
        seen: for each document, whether its class is one that maps may be fitted to.
        seed: of the draw.
    """

    corpus: Corpus
    vectors: Vectors
    seen: Mask
    seed: int

    @property
    def fitted(self) -> Mask:
        """Documents that maps may be fitted to."""
        return self.seen & ~self.corpus.tested


class LowRankMap(nn.Module):
    """Features x + B A x, scaled to norm 1, and a head. A is random and fixed, B starts at zero.

    Args:
        start: Weights of the head to start from. Shape (classes, width).
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        classes, width = start.shape
        self.first, self.second = nn.Linear(width, RANK, bias=False), nn.Linear(RANK, width, bias=False)
        self.head = nn.Linear(width, classes, bias=False)
        with torch.no_grad():
            self.first.weight.normal_(generator=torch.Generator().manual_seed(0)).div_(RANK**0.5)
            self.first.weight.requires_grad_(False)
            self.second.weight.zero_()
            self.head.weight.copy_(start / SCALE)

    def features(self, inputs: Tensor) -> Tensor:
        """Return the features. Shape: (items, width) -> (items, width)."""
        return normalize(inputs + self.second(self.first(inputs)), dim=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits. Shape: (items, width) -> (items, classes)."""
        return SCALE * self.head(self.features(inputs))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpora", nargs="+", choices=[*READERS], default=["provisions", "clauses"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=3000, help="documents of a corpus, drawn by their text")
    parser.add_argument("--cache", type=make_folder, help="folder that keeps masked texts and vectors")


def measure(arguments: argparse.Namespace) -> Outcome:
    if not CORPORA.is_dir():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    seeds = list(range(1, arguments.seeds + 1))
    for name in arguments.corpora:
        corpus = load_corpus(name, arguments.most, arguments.cache)
        vectors = represent_words(corpus.masked, arguments.cache)
        draws = [draw(corpus, vectors, seed) for seed in seeds]
        n[f"{name}_documents"] = len(draws[0].seen)
        n[f"{name}_tested"] = int((~draws[0].seen & draws[0].corpus.tested).sum())
        base = [judge(one, one.vectors) for one in draws]
        for what, value in zip(("unseen", "neighbors"), _average(base), strict=True):
            figures[f"{name}_legal_{what}"] = Figure(value, None, "share", "higher")
        for row, map_vectors in MAPS.items():
            found = [judge(one, map_vectors(one)) for one in draws]
            gains = zip(("unseen", "neighbors"), _average(found), _average(base), strict=True)
            for what, value, without in gains:
                figures[f"{name}_{row}_{what}"] = Figure(value - without, None, "gain", "higher")
    return Outcome(figures, n, seeds)


def _average(found: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.fmean(one[0] for one in found), statistics.fmean(one[1] for one in found)


def draw(corpus: Corpus, vectors: Vectors, seed: int) -> Drawn:
    """Draw the owners to test on, among those that are learned from, and the seen classes."""
    learned = np.flatnonzero(~corpus.tested)
    owners = np.unique(corpus.owners[learned])
    apart = np.random.default_rng(seed).permutation(owners)[: int(HELD_OUT * len(owners))]
    documents = [
        replace(corpus.documents[i], tested=corpus.documents[i].owner in apart) for i in learned.tolist()
    ]
    part = replace(corpus, documents=documents, masked=[corpus.masked[i] for i in learned.tolist()])
    return Drawn(part, vectors[learned], draw_half(part, seed), seed)


def judge(drawn: Drawn, rows: Vectors) -> tuple[float, float]:
    """Return micro-F1 of the probe and recall among the neighbors, on unseen classes."""
    rows = _scale(rows)
    learn, test = ~drawn.seen & ~drawn.corpus.tested, ~drawn.seen & drawn.corpus.tested
    predicted = probe(drawn.corpus, rows, learn, test)
    right = float((predicted == drawn.corpus.labels[test]).mean())
    return right, find_neighbors(rows, drawn.corpus.labels, learn, test)


def _center(drawn: Drawn) -> Vectors:
    return drawn.vectors - _read_moments()[0]


def _whiten(drawn: Drawn) -> Vectors:
    mean, covariance = _read_moments()
    return _scale((drawn.vectors - mean) @ _raise(covariance, -0.5))


def _add_headings(drawn: Drawn) -> Vectors:
    near = (drawn.vectors - _read_moments()[0]) @ _read_directions().T
    return np.concatenate([drawn.vectors, 0.5 * _scale(near**3)], axis=1).astype(np.float32)


def _stretch(drawn: Drawn) -> Vectors:
    directions = _read_directions()
    return _scale((drawn.vectors - _read_moments()[0]) @ _raise(directions.T @ directions, 0.5, 0.1))


def _whiten_within(drawn: Drawn) -> Vectors:
    rows, labels = drawn.vectors[drawn.fitted], drawn.corpus.labels[drawn.fitted]
    rests = rows - np.stack([rows[labels == label].mean(axis=0) for label in labels])
    return _scale((drawn.vectors - rows.mean(axis=0)) @ _raise(rests.T @ rests, -0.5))


def _add_scores(drawn: Drawn) -> Vectors:
    rows = drawn.vectors[drawn.fitted]
    _, index = np.unique(drawn.corpus.labels[drawn.fitted], return_inverse=True)
    targets = np.eye(index.max() + 1)[index] - 1 / (index.max() + 1)
    weights = rows.T @ np.linalg.solve(rows @ rows.T + 0.5 * np.eye(len(rows)), targets)
    return np.concatenate([drawn.vectors, 0.3 * _scale(drawn.vectors @ weights)], axis=1).astype(np.float32)


def _fit_low_rank(drawn: Drawn, unit: str, private: bool) -> Vectors:
    """Train the map and a head on the seen classes by the product's own engine."""
    encoded = [EncodedDocument(row, [], None, 1, 1) for row in drawn.vectors]
    rows = tuple(
        Row(str(i), drawn.corpus.documents[i].owner if unit == "owner" else str(i), label, encoded[i])
        for i in np.flatnonzero(drawn.fitted).tolist()
        for label in [drawn.corpus.documents[i].label]
    )
    labels = tuple(sorted({row.label or "" for row in rows}))
    split = Split(rows, (), "classify", labels, public_labels=True)
    settings = TrainSettings(model="lora", epsilon=8, delta=DELTA[unit])
    plan = plan_training(settings, split)
    if not private:
        plan = plan_without_privacy(plan, "lora")
    linear = TrainSettings(model="linear", representation=DEFAULT_REPRESENTATION)
    head = build_model(build_model_config(linear, split), load_encoder(linear))
    start_from_labels(head, load_encoder(linear))
    model = LowRankMap(head.output.weight.detach())
    loss = ClosedLoss(classification_loss, classification_gradient, "softmax")
    data = OwnerData(split, "mlp", settings.max_items_per_owner)
    random = SecureRandom(drawn.seed.to_bytes(32, "big"))
    train_privately(model, data, loss, plan, random, private=private)
    return _apply(model, drawn.vectors)


def _contrast(drawn: Drawn) -> Vectors:
    """Fit the map so that texts of a seen class are near each other (Khosla et al. 2020, equation 2)."""
    rows = torch.from_numpy(drawn.vectors[drawn.fitted])
    labels = torch.from_numpy(drawn.corpus.labels[drawn.fitted])
    model = LowRankMap(torch.zeros(2, rows.shape[1]))
    optimizer = torch.optim.Adam(model.second.parameters(), CONTRASTIVE_RATE)
    itself = torch.eye(len(rows), dtype=torch.bool)
    same = ((labels[:, None] == labels) & ~itself).float()
    for _ in range(CONTRASTIVE_STEPS):
        features = model.features(rows)
        likelihoods = (features @ features.T / TEMPERATURE).masked_fill(itself, -1e9).log_softmax(dim=1)
        loss = -((likelihoods * same).sum(dim=1) / same.sum(dim=1).clamp(min=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return _apply(model, drawn.vectors)


@torch.no_grad()
def _apply(model: LowRankMap, vectors: Vectors) -> Vectors:
    return model.eval().features(torch.from_numpy(vectors)).numpy()


def _read_moments() -> tuple[Vectors, Vectors]:
    return compute_public_moments(PublicEncoder.load(None), "legal-1")


def _read_directions() -> Vectors:
    """Return what tells texts below each public heading from all others. Shape (headings, width)."""
    directions = read_weights("headings-legal-1")["texts"].astype(np.float32)
    return _scale(directions - directions.mean(axis=0))


def _raise(matrix: Vectors, power: float, shrinkage: float = SHRINKAGE) -> Vectors:
    """Return a power of a symmetric matrix that is shrunk towards a multiple of the identity."""
    values, vectors = np.linalg.eigh(matrix.astype(np.float64))
    values = values.clip(0) + shrinkage * values.mean()
    return ((vectors * values**power) @ vectors.T).astype(np.float32)


def _scale(rows: NDArray[np.floating[Any]]) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)


MAPS: dict[str, Callable[[Drawn], Vectors]] = {
    "centered": _center,
    "whitened": _whiten,
    "headings": _add_headings,
    "stretched": _stretch,
    "within": _whiten_within,
    "scores": _add_scores,
    "low_rank": partial(_fit_low_rank, unit="document", private=False),
    "contrastive": _contrast,
    "low_rank_owner": partial(_fit_low_rank, unit="owner", private=True),
    "low_rank_document": partial(_fit_low_rank, unit="document", private=True),
}


if __name__ == "__main__":
    run(__doc__, measure, options)
