"""What of an owner is trained on: a bounded share, chosen without a look at labels, whole or in parts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.nlp.encoders.inputs import TokenBatch
from lexveil.pipeline.training.data import OwnerData, Row, Split

Kind = Literal["linear", "lstm"]
SIZES = (1, 9, 3, 20)


def split(labels: str = "ab") -> Split:
    rows: list[Row] = []
    for owner, size in enumerate(SIZES):
        for _ in range(size):
            at = len(rows)
            embedding = np.full(4, at, np.float32)
            tokens = [[at + 1] * (1 + at % 5), [at + 1]]
            label = labels[(at * at) % len(labels)]
            encoded = EncodedDocument(
                embedding=embedding, tokens=tokens, topics=None, chunks=2, total_chunks=2
            )
            rows.append(Row(f"{(at * 7) % 33:02}", str(owner), label, encoded))
    return Split(tuple(rows), (), "classify", tuple(sorted(set(labels))))


def seen(data: OwnerData, owners: list[int]) -> set[int]:
    """The documents that are trained on."""
    inputs = data.batch(owners).inputs
    numbers = inputs.ids[:, 0] - 1 if isinstance(inputs, TokenBatch) else inputs[:, 0]
    return {int(number) for number in numbers}


@pytest.mark.parametrize("kind", ["linear", "lstm"])
def test_an_owner_has_at_most_so_many_items_whatever_the_labels(kind: Kind) -> None:
    data = OwnerData(split(), kind, max_items=6)
    per_document = 2 if kind == "lstm" else 1
    assert data.n_owners == len(SIZES)
    assert sorted(data.item_counts) == sorted(min(6, size * per_document) for size in SIZES)
    chosen = seen(data, [0, 1, 2, 3])
    for labels in ("ba", "ccca", "aab"):
        assert seen(OwnerData(split(labels), kind, max_items=6), [0, 1, 2, 3]) == chosen


@pytest.mark.parametrize("kind", ["linear", "lstm"])
def test_parts_of_an_owner_add_up_to_the_whole(kind: Kind) -> None:
    data = OwnerData(split(), kind, max_items=64)
    owner = data.item_counts.index(max(data.item_counts))
    whole = data.batch([owner])
    ends = range(0, data.item_counts[owner], 7)
    parts = [data.batch([owner], range(at, min(at + 7, data.item_counts[owner]))) for at in ends]
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)
    assert torch.equal(torch.cat([part.weights for part in parts]), whole.weights)
    assert float(whole.weights.sum()) == pytest.approx(1)
    assert set(torch.cat([part.owner_index for part in parts]).tolist()) == {0}


def test_a_batch_holds_the_owners_in_the_order_asked_for() -> None:
    data = OwnerData(split(), "linear", max_items=64)
    batch = data.batch([3, 0, 2])
    assert torch.bincount(batch.owner_index).tolist() == [data.item_counts[owner] for owner in (3, 0, 2)]
    assert torch.equal(batch.inputs[batch.owner_index == 1], data.batch([0]).inputs)
