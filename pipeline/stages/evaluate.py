"""Evaluate: how useful a model is on documents it never saw, and whether encrypted equals plain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from lexveil.nlp.batching import batch_by_count
from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.documents import extract, extract_topic_shares, has_topic_attention
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import read_public_passages
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.stated_names import list_stated_names
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.models.encoding import encode_texts, get_encoding, restore_encoding
from lexveil.pipeline.models.encrypted_check import EncryptedCheck, check_encrypted
from lexveil.pipeline.models.heads import build_head
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.models.scoring import (
    DenoisingScores,
    Scores,
    score_classes,
    score_guesses,
    score_losses,
    score_topics,
)
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.sources.documents import SourceItem, check_fields, read_item, scan_sources
from lexveil.pipeline.stages.assess import assess, read_compared
from lexveil.pipeline.stages.extract import name_version
from lexveil.pipeline.training.classes import choose_classes
from lexveil.pipeline.training.data import Division, Row, Split, divide, group_by_owner, load_split
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.he.activation import HeadRefusedError

_BATCH = 256
# Documents of either side whose features are compared, and how many of the nearest count.
_MOST_COMPARED, _NEAREST = 2000, 10
# Classes, and topics of each, whose attention is reported.
_MOST_CLASSES, _MOST_TOPICS = 12, 3


@dataclass(frozen=True, slots=True)
class Attention:
    """What a model with attention over topics attends to in the held-out documents of one class.

    Attributes:
        label: name of the class in the model.
        documents: number of these documents.
        topics: names of the topics that get more than in public text, first the one that gets most more, and
            their mean share of the attention beyond that in public text.
    """

    label: str
    documents: int
    topics: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Neighbors:
    """What the features alone tell, whatever the head: whose features are like those of a held-out document.

    Measured on private documents without noise: unprotected.

    Attributes:
        same_class: share of its class among the ten documents trained on that have the nearest features
            (cosine), mean over held-out documents; of a class with fewer, as many as it has count.
        chance: the same among ten documents drawn at random.
        n: number of held-out documents.
    """

    same_class: float
    chance: float
    n: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the main job reports of a model.

    Attributes:
        utility: scores on the held-out documents; None if there are none.
        without_privacy: scores of the same model trained without clipping and noise, if the settings ask for
            it. That model is never saved.
        encrypted: comparison of encrypted and plain classification; None if the head cannot be served
            encrypted, since its weights are too large for the encryption parameters.
        with_relu: for a polynomial head, scores of the model trained without privacy with ReLU instead of the
            polynomial. The difference from `without_privacy` is the price of a head that can be encrypted.
        attention: for a model with attention over topics, what it attends to, by class; the classes with most
            documents first.
        neighbors: for documents of one class each, what the features alone tell; None if none is held out.
    """

    utility: Scores | DenoisingScores | None
    without_privacy: Scores | DenoisingScores | None
    encrypted: EncryptedCheck | None
    with_relu: Scores | DenoisingScores | None = None
    attention: tuple[Attention, ...] = ()
    neighbors: Neighbors | None = None


def evaluate(workspace: Workspace, name: str | None = None) -> Evaluation:
    """Measure the held-out utility of a model, and check its encrypted classification.

    The encrypted check encrypts features of a sample as a client does, classifies them with the server's
    code, which never holds a secret key, and compares the decrypted logits with the plain ones.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the newest of the configured kind.

    Raises:
        TrainingRefusedError: there is no such model.
    """
    settings = workspace.settings
    saved = find_model(workspace, name or settings.train.model)
    model = open_model(saved.folder, settings)
    version = name_version(workspace, saved)
    documents = assess(workspace, saved, version)
    apart: Any = documents.column("held_out")
    division = divide(workspace, documents, apart.to_numpy(), known=model.config.labels)
    ids: Any = documents.column("doc_id").combine_chunks()
    sample = _sample(ids, division, settings.encrypted.sample)
    learned, compared = (
        _select_compared(ids, division, rows, model.config) for rows in (division.learn, division.held_out)
    )
    used = {*sample, *compared, *(learned if compared else ())}
    found = read_compared(workspace, saved, version, documents, used)
    features = {row: found[ids[row].as_py()] for row in used}
    utility = _score_held_out(model.config, documents, division)
    twin = relu = None
    attention: tuple[Attention, ...] = ()
    with_diagnostics = settings.train.diagnostics and len(division.held_out) > 0
    if with_diagnostics or has_topic_attention(model):
        split = load_split(workspace, known=model.config.labels)  # all vectors: it takes minutes
        if with_diagnostics:
            twin, relu = _score_twins(settings.train, split)
        attention = _summarize_attention(model, split.held_out, settings)
    try:
        checked = check_encrypted(build_head(model), np.stack([features[row] for row in sample]))
    except HeadRefusedError:  # the model is paid for and has its features: the report tells what it cannot do
        checked = None
    neighbors = _compare_neighbors(learned, compared, division, features)
    return Evaluation(utility, twin, checked, relu, attention, neighbors)


def evaluate_file(workspace: Workspace, name: str, test: Path) -> Scores:
    """Score a model on a file of labeled records, which are masked like the training text.

    A label that the model does not know counts as a miss.

    Args:
        workspace: the workspace.
        name: name or kind of the model.
        test: file of labeled records.

    Raises:
        SourceError: the file is missing or has no labels.
        TrainingRefusedError: there is no such model.
    """
    saved = find_model(workspace, name)
    model = open_model(saved.folder, workspace.settings)
    settings = restore_encoding(workspace.settings, model.config)
    items = scan_sources([test], settings.ingest)
    check_fields(items, settings.ingest, need_labels=False)
    written: list[str | None] = []
    logits: list[np.ndarray] = []
    for documents in batch_by_count(_read_labeled(items, settings), _BATCH):
        known = [list_stated_names(document.fields) for document in documents]
        masked = mask_texts([document.text for document in documents], settings.mask, known=known)
        texts = [checked.text for checked in masked]
        logits.append(extract(model, encode_texts(texts, settings.train, get_encoding(saved.kind))).logits)
        written.extend(document.label for document in documents)
    if not written:
        raise SourceError("the test file has no labeled document; name its field with --label-field")
    fit = choose_classes(workspace, set(written), known=model.config.labels).fit
    # A label outside the settings' list is a miss too, but not a document of no class.
    return score_classes(model.config, [fit(label) or label for label in written], np.concatenate(logits))


def _score_twins(
    train: TrainSettings, split: Split
) -> tuple[Scores | DenoisingScores | None, Scores | DenoisingScores | None]:
    """Score the model trained without privacy, and, for a polynomial head, the one with ReLU."""
    config = build_model_config(train, split)
    plan = plan_without_privacy(plan_training(train, split), config.kind)
    data = group_by_owner(split, train)
    twin, _ = fit(config, data, train, plan, SecureRandom(), private=False)
    scores = _score_rows(twin.config, split.held_out, partial(_compute_logits, twin))
    if not isinstance(twin.head, PolynomialHead):
        return scores, None
    with_relu, _ = fit(config, data, train, plan, SecureRandom(), private=False, activation="relu")
    return scores, _score_rows(with_relu.config, split.held_out, partial(_compute_logits, with_relu))


def _summarize_attention(
    model: FeatureModel, rows: Sequence[Row], settings: Settings
) -> tuple[Attention, ...]:
    """Summarize what a model attends to in the rows of each class; empty without topics or classes."""
    labels = model.config.labels
    labeled = [row for row in rows if row.label is not None and row.encoded.chunks]
    shares = extract_topic_shares(model, [row.encoded for row in labeled]) if labeled else None
    if shares is None or model.config.objective != "classify":
        return ()
    own = restore_encoding(settings, model.config).train
    public = encode_texts(read_public_passages(), own, "tokens")
    usual = extract_topic_shares(model, public)
    assert usual is not None
    found: list[Attention] = []
    for label, count in Counter(row.label or "" for row in labeled).most_common(_MOST_CLASSES):
        # A name with common words gets much of any text: what tells a class is what it gets beyond that.
        more = shares[[row.label == label for row in labeled]].mean(axis=0) - usual.mean(axis=0)
        most = [topic for topic in np.argsort(-more, kind="stable")[:_MOST_TOPICS] if more[topic] > 0]
        found.append(Attention(label, count, tuple((labels[topic], float(more[topic])) for topic in most)))
    return tuple(found)


def _select_compared(
    ids: pa.Array[Any], division: Division, rows: NDArray[np.int64], config: ModelConfig
) -> list[int]:
    """Select rows whose features are compared; none if documents do not have one class each."""
    if config.objective != "classify":
        return []
    labeled = rows[np.array([label is not None for label in division.labels[rows]], np.bool_)]
    return _select_first(ids, labeled, _MOST_COMPARED)


def _select_first(ids: pa.Array[Any], rows: NDArray[np.int64], most: int) -> list[int]:
    """Select the rows with the least ids, in their order. Ids are keyed hashes: it is as good as random."""
    if min(most, len(rows)) < 1:
        return []
    order = pc.select_k_unstable(ids.take(rows), min(most, len(rows)), [("id", "ascending")])
    return rows[order.to_numpy()].tolist()


def _compare_neighbors(
    learned: Sequence[int],
    held_out: Sequence[int],
    division: Division,
    features: Mapping[int, NDArray[np.float32]],
) -> Neighbors | None:
    if not learned or not held_out:
        return None
    near, own = (_scale(np.stack([features[row] for row in rows])) for rows in (learned, held_out))
    labels, written = (division.labels[rows].astype(np.str_) for rows in (learned, held_out))
    nearest = find_nearest(own @ near.T)
    found = (labels[nearest] == written[:, None]).sum(axis=1)
    sizes = Counter(labels.tolist())
    there = np.array([sizes[label] for label in written.tolist()])
    possible = np.minimum(np.minimum(there, _NEAREST), len(learned)).clip(min=1)
    chance = there / len(learned) * min(_NEAREST, len(learned)) / possible
    return Neighbors(float((found / possible).mean()), float(chance.mean()), len(held_out))


def find_nearest(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the columns with the greatest values of each row; of equal ones, the first.

    Shapes: (rows, columns) -> (rows, at most `_NEAREST`), in no order.
    """
    if similarity.shape[1] <= _NEAREST:
        return np.argsort(-similarity, axis=1, kind="stable")
    values, nearest = torch.from_numpy(similarity).topk(_NEAREST + 1, dim=1)
    found = nearest[:, :_NEAREST].numpy()
    tied = (
        values[:, _NEAREST - 1] == values[:, _NEAREST]
    ).numpy()  # one of equals was left out: which, is chance
    found[tied] = np.argsort(-similarity[tied], axis=1, kind="stable")[:, :_NEAREST]
    return found


def _scale(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def _score_held_out(
    config: ModelConfig, documents: pa.Table, division: Division
) -> Scores | DenoisingScores | None:
    """Score a model on the held-out documents that it can be scored on; None if there are none."""
    if config.objective == "denoise":
        losses = [pair for pair in documents.column("losses").take(division.held_out).to_pylist() if pair]
        return score_losses(np.array(losses, np.float32)) if losses else None
    written = division.labels[division.held_out].tolist()
    guesses: list[Any] = documents.column("guess").take(division.held_out).to_pylist()
    labeled = [row for row, label in enumerate(written) if label is not None]
    if not labeled:
        return None
    return score_guesses(config, [written[row] for row in labeled], [guesses[row] for row in labeled])


def _score_rows(
    config: ModelConfig, rows: Sequence[Row], compute_logits: Callable[[Sequence[Row]], np.ndarray]
) -> Scores | DenoisingScores | None:
    """Score a model on the rows that it can be scored on; None if there are none."""
    if config.objective == "denoise":
        usable = [row for row in rows if row.encoded.topics is not None and row.encoded.topics.any()]
        topics = [row.encoded.topics for row in usable if row.encoded.topics is not None]
        return score_topics(compute_logits(usable), np.stack(topics)) if usable else None
    labeled = [row for row in rows if row.label is not None]
    if not labeled:
        return None
    return score_classes(config, [row.label for row in labeled], compute_logits(labeled))


def _compute_logits(model: FeatureModel, rows: Sequence[Row]) -> np.ndarray:
    return extract(model, [row.encoded for row in rows]).logits


def _sample(ids: pa.Array[Any], division: Division, size: int) -> list[int]:
    """Select documents, held-out ones first."""
    held_out = _select_first(ids, division.held_out, size)
    return [*held_out, *_select_first(ids, division.learn, size - len(held_out))]


def _read_labeled(items: Sequence[SourceItem], settings: Settings) -> Iterator[SourceDocument]:
    for item in items:
        for outcome in read_item(item, settings.ingest):
            if isinstance(outcome, SourceDocument) and outcome.label is not None:
                yield outcome
