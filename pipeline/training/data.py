"""Training data: owners with their items, labels or denoising targets, and the owners held out."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import Kind, Objective, takes_tokens
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.topics import PublicTopics
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.logs import log
from lexveil.pipeline.models.encoding import (
    CONTENTS,
    encoded_folder,
    get_encoding,
    load_encoder,
    read_encoded,
)
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.classes import MaskNames, choose_classes
from lexveil.pipeline.training.ownership import choose_groups
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.batches import Batch, TensorOwners
from lexveil.privacy.vault import content_id

FEW_UNITS = (
    300  # with fewer owners or documents, most of a model's score is that of its start (docs/utility.md)
)
ABOUT = ["doc_id", "owner", "label", "split"]
"""Columns of a table of documents by which they are divided."""
Item = Sequence[int] | np.ndarray


@dataclass(frozen=True, slots=True)
class Row:
    """A document of the training data. `owner` is its owner, or all of its owners together."""

    doc_id: str
    owner: str
    label: str | None = field(repr=False)
    encoded: EncodedDocument = field(repr=False)


@dataclass(frozen=True, slots=True)
class Split:
    """Documents to learn from and documents held out; no owner is in both.

    Attributes:
        train: the documents to learn from.
        held_out: the documents held out.
        objective: what a model learns.
        labels: names of the classes or topics, in the order of a model's outputs.
        public_labels: True if no document decides on `labels` and `objective`.
        left_out: number of documents in neither, because an owner of theirs has more documents with others.
    """

    train: tuple[Row, ...] = field(repr=False)
    held_out: tuple[Row, ...] = field(repr=False)
    objective: Objective
    labels: tuple[str, ...] = field(repr=False)
    public_labels: bool = False
    left_out: int = 0

    @property
    def n_owners(self) -> int:
        """Number of owners, or of sets of owners, to learn from. It counts as public."""
        return len({row.owner for row in self.train})


@dataclass(frozen=True, slots=True)
class Division:
    """Which rows of a table of documents a model learns from and which are held out; no owner is in both.

    Attributes:
        learn: rows to learn from, in the order of the table.
        held_out: rows held out, in the order of the table.
        owners: owner of each row of the table, or all of its owners together.
        labels: label of each row in the names of the model; None: it has none there.
        objective: what a model learns.
        classes: names of the classes or topics, in the order of a model's outputs.
        public: True if no document decides on `classes` and `objective`.
        left_out: number of documents in neither, because an owner of theirs has more documents with others.
    """

    learn: NDArray[np.int64] = field(repr=False)
    held_out: NDArray[np.int64] = field(repr=False)
    owners: pa.Array[Any] = field(repr=False)
    labels: NDArray[np.object_] = field(repr=False)
    objective: Objective
    classes: tuple[str, ...] = field(repr=False)
    public: bool
    left_out: int


def load_split(
    workspace: Workspace,
    mask: MaskNames | None = None,
    known: Collection[str] = (),
    contents: Collection[str] = CONTENTS,
) -> Split:
    """Load the encoded documents, divided as `divide` says, with their labels in the names of the model.

    Args:
        workspace: the workspace.
        mask: masks the names of classes that the settings do not list, for a model that will be saved; None:
            they stay as they are written.
        known: classes of a saved model, whose names are used.
        contents: what to load of the documents (`read_encoded`).

    Raises:
        TrainingRefusedError: there are fewer than two classes or owners, or, without a list of the classes,
            fewer labeled documents than classes.
    """
    want = get_encoding(workspace.settings.train.model)
    folder = encoded_folder(workspace, want)
    parts: list[pa.Table] = [tables.ENCODED.empty_table().select(ABOUT)]
    encoded: list[EncodedDocument] = []
    for shard in read_manifest(folder, f"encode-{want}").shards:
        table, documents = read_encoded(tables.part_path(folder, shard.index), contents)
        parts.append(table.select(ABOUT))
        encoded += documents
    table = pa.concat_tables(parts)
    division = divide(workspace, table, find_held_out(workspace, table), mask, known)
    about: tuple[Sequence[Any], ...] = (
        tables.to_strings(table, "doc_id"),
        division.owners.to_pylist(),
        division.labels.tolist(),
        encoded,
    )
    learn, held_out = (
        tuple(Row(*(column[row] for column in about)) for row in rows.tolist())
        for rows in (division.learn, division.held_out)
    )
    return Split(learn, held_out, division.objective, division.classes, division.public, division.left_out)


def find_held_out(workspace: Workspace, documents: pa.Table) -> NDArray[np.bool_]:
    """Return for each document True if it is held out: by the split field, or by its owner.

    An owner is held out by a keyed hash of the owner, never by content, so adding an owner moves no other.

    Args:
        workspace: the workspace.
        documents: table with the columns `owner` and `split`.
    """
    key, share = workspace.keys.purpose_key("held-out"), workspace.settings.train.held_out
    is_held_out = functools.cache(lambda owner: _hash_to_unit(key, owner) < share)
    rows = zip(*(documents.column(name).to_pylist() for name in ("owner", "split")), strict=True)
    return np.array([chosen not in (None, "train") or is_held_out(owner) for owner, chosen in rows], np.bool_)


def divide(
    workspace: Workspace,
    documents: pa.Table,
    apart: NDArray[np.bool_],
    mask: MaskNames | None = None,
    known: Collection[str] = (),
) -> Division:
    """Divide documents by owner into those to learn from and those held out.

    If the settings list the classes, adding an owner does not change what a document of another owner is
    trained on. Of documents with several owners, those of chosen sets of owners are taken (`choose_groups`);
    such a set then counts as one owner.

    Args:
        workspace: the workspace.
        documents: table of all encoded documents, with the columns `ABOUT`.
        apart: what `find_held_out` says of them.
        mask: masks the names of classes that the settings do not list; None: they stay.
        known: classes of a saved model, whose names are used.

    Raises:
        TrainingRefusedError: there are fewer than two classes or owners, or, without a list of the classes,
            fewer labeled documents than classes.
    """
    train = workspace.settings.train
    written: Any = documents.column("label").combine_chunks().dictionary_encode()
    names: list[str | None] = [*written.dictionary.to_pylist(), None]
    codes = written.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    # From all documents, held out or not: without a list in the settings, the classes count as public.
    found = set(names if written.null_count else names[:-1])
    classes = choose_classes(workspace, found, mask, known)
    fitted = [classes.fit(name) for name in names]
    labels = np.array(fitted, np.object_)[codes]
    has_label = np.array([label is not None for label in fitted])[codes]
    learn, held_out = np.flatnonzero(~apart), np.flatnonzero(apart)
    outputs = classes.names
    if classes.objective != "denoise":
        if len(outputs) < 2:
            raise TrainingRefusedError(f"training needs two classes, the documents have {len(outputs)}")
        learn = learn[has_label[learn]]
        if len(outputs) > len(learn) and not classes.public:
            raise TrainingRefusedError(
                f"training needs more documents than classes; {len(learn)} labeled ones are not held out, "
                f"of {len(outputs)} classes"
            )
    else:
        outputs = PublicTopics.load(load_encoder(train)).names
    usable = len(learn) + len(held_out)
    by_document = workspace.settings.ledger.unit == "document"  # each counts by itself, whoever has it
    owners: Any = documents.column("doc_id" if by_document else "owner").combine_chunks()
    if not by_document:
        groups = choose_groups(tables.to_strings(workspace.catalogue.read(columns=["owner"]), "owner"))
        chosen = _is_in(owners, pa.array(groups, pa.string()))
        learn, held_out = (rows[chosen[rows]] for rows in (learn, held_out))
    left_out = usable - len(learn) - len(held_out)
    learning = pc.unique(owners.take(learn))
    # A split field may put documents of one owner into both.
    held_out = held_out[~_is_in(owners.take(held_out), learning)]
    if len(learning) < 2:
        raise TrainingRefusedError("training needs documents of at least two owners")
    return Division(learn, held_out, owners, labels, classes.objective, outputs, classes.public, left_out)


def _is_in(values: Any, value_set: Any) -> NDArray[np.bool_]:
    return pc.is_in(values, value_set=value_set).to_numpy(zero_copy_only=False)


def describe_few_units(units: int, unit: str) -> str:
    """Return the warning, before the ledger is charged, about a model of few owners or documents."""
    return (
        f"there are only {units} {unit}s: with fewer than {FEW_UNITS}, a model knows little beyond the "
        "names of its classes for the epsilon that it costs"
    )


def warn_of_private_labels(split: Split) -> None:
    """Warn in one line, before the ledger is charged, that the documents decided on the classes."""
    if not split.public_labels and split.objective != "denoise":
        log.warning(
            "the %d classes were taken from private documents, which epsilon does not cover: their names are "
            "masked, a rare one can still reveal its document; list public ones in train.labels",
            len(split.labels),
        )


def build_target(row: Row, objective: Objective, labels: Sequence[str]) -> int | np.ndarray:
    """Build the target of a document for a model.

    Returns:
        "classify": the index of its class. "multilabel": an array with 1 for each of its classes, shape
        (labels,). "denoise": its topics, shape (topics,).
    """
    if objective == "denoise":
        assert row.encoded.topics is not None
        return row.encoded.topics
    if objective == "multilabel":
        own = set(parse_classes(row.label))
        return np.array([name in own for name in labels], dtype=np.float32)
    return labels.index(row.label or "")


def _hash_to_unit(key: bytes, owner: str) -> float:
    return int(content_id(key, owner.encode())[:12], 16) / 16**12


class OwnerData:
    """Training documents grouped by owner, as the DP engine draws them.

    An item is a document's embedding, or one chunk of its tokens. An owner has at most `max_items` of them:
    of more, an evenly spaced selection is taken in the order of digests of the encoded documents, without the
    labels: it depends on nothing but these documents. The weights of an owner's items sum to one, so a large
    owner has no more influence.

    Attributes:
        n_owners: number of owners.
        item_counts: number of items of each owner, in the order of their indices.
    """

    def __init__(self, split: Split, kind: Kind, max_items: int) -> None:
        self._tokens = takes_tokens(kind)
        items: dict[str, list[tuple[Item, int | np.ndarray]]] = defaultdict(list)
        for row in sorted(split.train, key=_rank):
            target = build_target(row, split.objective, split.labels)
            pieces: list[Item] = list(row.encoded.tokens) if self._tokens else [_embedding(row.encoded)]
            items[row.owner].extend((piece, target) for piece in pieces)
        self._owners = [_thin(items[owner], max_items) for owner in sorted(items)]
        if self._tokens:
            # Chunks of a batch are padded to the longest, so owners of similar length should be adjacent.
            self._owners.sort(key=lambda owner: max((len(piece) for piece, _ in owner), default=0))
        self.n_owners = len(self._owners)
        self.item_counts = [len(owner) for owner in self._owners]
        # Of a linear head, whose inputs do not change; it trains its bias for several labels only.
        linear = kind == "linear" and split.objective != "denoise"
        ones = int(split.objective == "multilabel") if linear else None
        self._embeddings = None if self._tokens else self._stack_embeddings(ones)

    def _stack_embeddings(self, ones: int | None) -> TensorOwners:
        """Stack all embeddings: gathering thousands of small arrays would take longer than the step."""
        drawn = [item for owner in self._owners for item in owner]
        inputs = torch.from_numpy(np.stack([np.asarray(piece, np.float32) for piece, _ in drawn]))
        targets = torch.from_numpy(np.asarray([target for _, target in drawn]))
        owner_of = torch.repeat_interleave(torch.tensor(self.item_counts))
        return TensorOwners(inputs, targets, owner_of, self.n_owners, ones)

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Build the batch of some owners.

        Args:
            owners: indices of the owners; each has items.
            items: for a single owner, the indices of the items to take; None: all.
        """
        if self._embeddings is not None:
            return self._embeddings.batch(owners, items)
        chosen = slice(None) if items is None else slice(items.start, items.stop, items.step)
        drawn = [
            (position, *item) for position, owner in enumerate(owners) for item in self._owners[owner][chosen]
        ]
        inputs = collate_tokens([piece for _, piece, _ in drawn])
        counts = torch.tensor([len(self._owners[owner]) for owner in owners])
        owner_index = torch.tensor([position for position, _, _ in drawn], dtype=torch.int64)
        targets = torch.from_numpy(np.asarray([target for _, _, target in drawn]))
        return Batch(inputs, targets, owner_index, (1.0 / counts)[owner_index])


def group_by_owner(split: Split, train: TrainSettings) -> OwnerData:
    """Group the documents to learn from by owner, as a model of these settings takes them."""
    return OwnerData(split, train.model, train.max_items_per_owner)


def _embedding(encoded: EncodedDocument) -> np.ndarray:
    assert encoded.embedding is not None
    return encoded.embedding


def _rank(row: Row) -> tuple[str, str]:
    """Order documents by what they are, not by ids, which may depend on what was ingested before."""
    digest = hashlib.sha256()
    for part in (row.encoded.embedding, *row.encoded.tokens):
        values = np.asarray([] if part is None else part)
        digest.update(f"{values.size},".encode() + values.tobytes())
    return digest.hexdigest(), row.label or ""


def _thin(items: list[tuple[Item, int | np.ndarray]], limit: int) -> list[tuple[Item, int | np.ndarray]]:
    if len(items) <= limit:
        return items
    return [items[int(index)] for index in np.linspace(0, len(items) - 1, limit)]
