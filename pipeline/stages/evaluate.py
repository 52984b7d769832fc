"""Evaluate: how useful the model is on documents it never saw, and whether encrypted equals plain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.documents import EncodedDocument, ExtractedFeatures, extract
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.losses import denoising_loss
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.models.encoding import as_trained, encode_texts, encoding_of
from lexveil.pipeline.models.heads import head_of
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import Rejected, SourceItem, check_fields, read_item, scan_sources
from lexveil.pipeline.training.data import Row, Split, load_split
from lexveil.pipeline.training.fit import fit, model_config
from lexveil.pipeline.training.recipes import plain_plan, training_plan
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.parameters import Profile
from lexveil.privacy.he.served_model import Head, ServedModel, build_evaluator

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Scores:
    """Classification of `n` documents. Measured on private documents without noise: unprotected."""

    micro_f1: float
    macro_f1: float
    n: int


@dataclass(frozen=True, slots=True)
class Denoising:
    """Cross-entropy of the public topics of `n` held-out documents; `uniform` knows nothing. Unprotected."""

    loss: float
    uniform: float
    n: int


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Encrypted against plain classification of the same features."""

    documents: int
    agreement: float
    max_error: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the main job reports of a model.

    Attributes:
        utility: on the held-out documents; None where there are none.
        without_privacy: the same model trained without clipping and noise, when asked for. It is never saved.
        with_relu: likewise, of a polynomial head, with ReLU in the place of its polynomial: what serving it
            encrypted costs, beside `without_privacy`.
    """

    utility: Scores | Denoising | None
    without_privacy: Scores | Denoising | None
    encrypted: Encrypted
    with_relu: Scores | Denoising | None = None


def evaluate(workspace: Workspace, name: str | None = None) -> Evaluation:
    """Held-out utility and the encrypted check of a model (None: the newest of the configured kind).

    The encrypted check encrypts features of a held-out sample in the client's process, classifies them by
    the server's code, which never holds a secret key, and compares the decrypted logits with the plain ones.

    Raises:
        TrainingRefusedError: there is no such model.
    """
    saved = find_model(workspace, name or workspace.settings.train.model)
    model = open_model(saved.folder, workspace.settings)
    split = load_split(workspace)
    held_out = split.held_out
    utility = _utility(model, held_out)
    twin = relu = None
    if workspace.settings.train.diagnostics and held_out:
        config = model_config(workspace.settings.train, split)
        plan = plain_plan(training_plan(workspace.settings.train, split), config.kind)
        plain, _ = fit(config, split, workspace.settings.train, plan, SecureRandom(), private=False)
        twin = _utility(plain, held_out)
        if isinstance(plain.head, PolynomialHead):
            bent, _ = fit(
                config,
                split,
                workspace.settings.train,
                plan,
                SecureRandom(),
                private=False,
                activation="relu",
            )
            relu = _utility(bent, held_out)
    features = extract(model, _sample(split, workspace.settings.encrypted.sample)).features
    check = encrypted_check(head_of(model), features)
    encrypted = Encrypted(check.documents, check.agreement, check.max_error)
    return Evaluation(utility, twin, encrypted, relu)


def evaluate_file(workspace: Workspace, name: str, test: Path) -> Scores:
    """Scores of a model on a file of labelled records, masked as the training text was masked.

    A label that the model doesn't know counts as a miss.

    Raises:
        SourceError: the file is missing or has no labels.
        TrainingRefusedError: there is no such model.
    """
    saved = find_model(workspace, name)
    model = open_model(saved.folder, workspace.settings)
    train = as_trained(workspace.settings, model.config).train
    items = scan_sources([test], workspace.settings.ingest)
    check_fields(items, workspace.settings.ingest, need_labels=False)
    truth: list[str | None] = []
    logits: list[np.ndarray] = []
    for documents in _batches(_labelled(items, workspace.settings)):
        masked = [
            outcome.text for outcome in mask_texts([doc.text for doc in documents], workspace.settings.mask)
        ]
        encoded = encode_texts(masked, train, encoding_of(saved.kind))
        logits.append(extract(model, encoded).logits)
        truth.extend(doc.label for doc in documents)
    if not truth:
        raise SourceError("the test file has no labelled document; name its field with --label-field")
    return _scores(model.config, truth, np.concatenate(logits))


def _labelled(items: Sequence[SourceItem], settings: Settings) -> Iterator[SourceDocument]:
    for item in items:
        for outcome in read_item(item, settings.ingest):
            if not isinstance(outcome, Rejected) and outcome.label is not None:
                yield outcome


def _batches(documents: Iterator[SourceDocument]) -> Iterator[list[SourceDocument]]:
    while batch := list(islice(documents, _BATCH)):
        yield batch


def _sample(split: Split, size: int) -> list[EncodedDocument]:
    """Held-out documents first; ids are keyed hashes, so their order is as good as random."""
    held_out = sorted(split.held_out, key=lambda row: row.doc_id)
    rest = sorted(split.train, key=lambda row: row.doc_id)
    return [row.encoded for row in [*held_out, *rest][:size]]


def _utility(model: FeatureModel, rows: Sequence[Row]) -> Scores | Denoising | None:
    if model.config.objective == "denoise":
        found = [row for row in rows if row.encoded.topics is not None and row.encoded.topics.any()]
        return _denoising(model, found) if found else None
    labelled = [row for row in rows if row.label is not None]
    if not labelled:
        return None
    return _scores(model.config, [row.label for row in labelled], _extract(model, labelled).logits)


def _denoising(model: FeatureModel, rows: Sequence[Row]) -> Denoising:
    targets = torch.from_numpy(
        np.stack([row.encoded.topics for row in rows if row.encoded.topics is not None])
    )
    logits = torch.from_numpy(_extract(model, rows).logits)
    uniform = denoising_loss(torch.zeros_like(logits), targets)
    return Denoising(float(denoising_loss(logits, targets).mean()), float(uniform.mean()), len(rows))


def _extract(model: FeatureModel, rows: Sequence[Row]) -> ExtractedFeatures:
    return extract(model, [row.encoded for row in rows])


def _scores(config: ModelConfig, written: Sequence[str | None], logits: np.ndarray) -> Scores:
    """Of one label a document: the likeliest; of several: all that are likelier than not."""
    from sklearn.metrics import f1_score

    known = set(config.labels)
    # Labels that the model does not know, and so never finds, count as misses.
    names = [*config.labels, *sorted({name for label in written for name in parse_classes(label)} - known)]
    place = {name: index for index, name in enumerate(names)}
    if config.objective == "multilabel":
        truth = np.zeros((len(written), len(names)), dtype=bool)
        for row, label in zip(truth, written, strict=True):
            row[[place[name] for name in parse_classes(label)]] = True
        guesses = np.pad(logits > 0, ((0, 0), (0, len(names) - len(config.labels))))
        present = np.flatnonzero(truth.any(axis=0))
    else:
        found = [parse_classes(label) for label in written]
        truth = np.array([place[own[0]] if len(own) == 1 else -1 for own in found])
        guesses = logits.argmax(axis=1)
        present = np.unique(truth)
    never: Any = 0.0  # the F1 of a label that is neither there nor found
    micro = f1_score(truth, guesses, average="micro", zero_division=never)
    macro = f1_score(truth, guesses, labels=present, average="macro", zero_division=never)
    return Scores(float(micro), float(macro), len(written))


@dataclass(frozen=True, slots=True)
class EncryptedCheck:
    """Encrypted against plain classification of the same features.

    agreement: share of documents with the same label. max_error: largest absolute error of a logit.
    error_bound: the one that is stated for these features.
    """

    documents: int
    agreement: float
    max_error: float
    error_bound: float


def encrypted_check(
    head: Head, features: NDArray[np.floating], profile: Profile = "sealed"
) -> EncryptedCheck:
    """Classifies the features encrypted, by what client and server compute, and plain; compares.

    features: shape (n, n_features), of norm 1 at most. Raises ValueError (`HeadRefusedError`, `ShapeRefusedError`) for
    a head that cannot be served.
    """
    served = build_evaluator(ServedModel(head, profile), "block")
    keys = ClientKeys.generate(served.parameters)
    loaded = served.load_keys(keys.evaluation_keys())
    matrix = np.asarray(features, np.float64)
    logits = keys.decrypt([served.evaluate(x, loaded) for x in keys.encrypt(matrix)], len(matrix))
    plain = head.logits(matrix)
    same = plain.argmax(axis=1) == logits.argmax(axis=1)
    norm = float(np.linalg.norm(matrix, axis=1).max())
    error = float(np.abs(plain - logits).max())
    return EncryptedCheck(len(matrix), float(same.mean()), error, served.error_bound(norm))
