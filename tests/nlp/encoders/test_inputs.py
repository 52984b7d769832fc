"""Batches of padded chunks."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders.inputs import TokenBatch, collate_tokens

CHUNKS = st.lists(st.lists(st.integers(1, 30_000), max_size=40), max_size=12)


@given(CHUNKS)
def test_every_chunk_is_in_its_row_and_the_rest_is_padding(chunks: list[list[int]]) -> None:
    batch = collate_tokens(chunks, pad_id=0)
    assert batch.ids.shape == (len(chunks), max([1, *map(len, chunks)]))
    assert batch.ids.dtype == batch.lengths.dtype == torch.int64
    for ids, length, chunk in zip(batch.ids.tolist(), batch.lengths.tolist(), chunks, strict=True):
        assert ids[: len(chunk)] == chunk
        assert not any(ids[len(chunk) :])
        assert length == max(1, len(chunk))


def test_the_pad_token_is_the_encoders() -> None:
    assert collate_tokens([[5, 6, 7], [8], []], pad_id=1).ids.tolist() == [[5, 6, 7], [8, 1, 1], [1, 1, 1]]


def test_chunks_as_they_are_stored_give_the_same_batch() -> None:
    chunks = [[2000, 2001], [3000]]
    stored = [np.asarray(chunk, np.int32) for chunk in chunks]
    read_only = [chunk.copy() for chunk in stored]
    for chunk in read_only:
        chunk.flags.writeable = False
    expected = collate_tokens(chunks)
    for batch in (collate_tokens(stored), collate_tokens(read_only)):
        assert torch.equal(batch.ids, expected.ids)
        assert torch.equal(batch.lengths, expected.lengths)


def test_a_batch_does_not_share_memory_with_its_chunks() -> None:
    chunk = np.asarray([7, 8], np.int64)
    batch = collate_tokens([chunk])  # type: ignore[list-item]
    batch.ids.zero_()
    assert chunk.tolist() == [7, 8]


def test_a_batch_unpacks_into_ids_and_lengths() -> None:
    ids, lengths = collate_tokens([[1, 2]])
    assert isinstance(collate_tokens([]), TokenBatch)
    assert (ids.tolist(), lengths.tolist()) == ([[1, 2]], [2])
