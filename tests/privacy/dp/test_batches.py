"""Data by owner: items find their owners, and draws are cut into micro-batches of whole owners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.dp.batches import Batch, TensorOwners, micro_batches

# Owner 1 has three items, apart from each other; owner 3 has none.
OWNER_OF = torch.tensor([1, 0, 4, 1, 2, 1])


@pytest.fixture
def data() -> TensorOwners:
    inputs = torch.arange(12.0).view(6, 2)
    return TensorOwners(inputs, torch.arange(6), OWNER_OF, 5)


def test_counts_include_owners_without_items(data: TensorOwners) -> None:
    assert data.n_owners == 5
    assert list(data.item_counts) == [1, 3, 1, 0, 1]


@pytest.mark.parametrize("owners", [[1], [0, 1, 2], [2, 1], [4, 0], [1, 4]])
def test_a_batch_has_all_items_of_its_owners_in_their_order(
    data: TensorOwners, owners: Sequence[int]
) -> None:
    batch = data.batch(owners)
    expected = [item for owner in owners for item in range(6) if OWNER_OF[item] == owner]
    assert batch.targets.tolist() == expected
    assert batch.inputs.tolist() == [[2.0 * item, 2.0 * item + 1] for item in expected]
    assert [owners[index] for index in batch.owner_index.tolist()] == OWNER_OF[expected].tolist()


def test_an_owners_weights_add_up_to_one(data: TensorOwners) -> None:
    batch = data.batch([0, 1, 2])
    sums = torch.zeros(3).index_add_(0, batch.owner_index, batch.weights)
    assert torch.allclose(sums, torch.ones(3))


def test_parts_of_an_owner_keep_the_weights_of_the_whole(data: TensorOwners) -> None:
    whole = data.batch([1])
    parts = [data.batch([1], range(0, 2)), data.batch([1], range(2, 3))]
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)
    assert torch.equal(torch.cat([part.weights for part in parts]), whole.weights)
    assert [part.owner_index.tolist() for part in parts] == [[0, 0], [0]]


def test_a_data_set_without_items_is_possible() -> None:
    data = TensorOwners(torch.empty(0, 3), torch.empty(0), torch.empty(0, dtype=torch.long), 4)
    assert list(data.item_counts) == [0, 0, 0, 0]
    assert list(micro_batches([0, 1, 2, 3], data.item_counts, 8)) == []


@pytest.mark.parametrize(
    ("inputs", "targets", "owner_of", "n_owners", "message"),
    [
        (3, 2, [0, 0, 0], 1, "do not fit"),
        (2, 2, [0, 0, 0], 1, "do not fit"),
        (2, 2, [0, -1], 1, "must be in"),
        (2, 2, [0, 1], 1, "must be in"),
    ],
)
def test_what_does_not_fit_is_refused(
    inputs: int, targets: int, owner_of: list[int], n_owners: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TensorOwners(torch.ones(inputs, 2), torch.ones(targets), torch.tensor(owner_of), n_owners)


def test_a_batch_on_its_own_device_is_the_batch(data: TensorOwners) -> None:
    batch = data.batch([0, 1])
    assert batch.to(torch.device("cpu")) is batch


def test_a_batch_moves_with_all_that_is_nested_in_it() -> None:
    inputs = {"ids": torch.ones(2, 3), "more": (torch.ones(2), [torch.zeros(2)])}
    batch = Batch(inputs, torch.zeros(2), torch.zeros(2, dtype=torch.long), torch.ones(2))
    moved = batch.to(torch.device("meta"))
    assert moved.inputs["ids"].device.type == "meta"
    assert moved.inputs["more"][0].device.type == "meta"
    assert moved.inputs["more"][1][0].device.type == "meta"
    assert {moved.targets.device.type, moved.owner_index.device.type, moved.weights.device.type} == {"meta"}
    assert inputs["ids"].device.type == "cpu"


counts = st.lists(st.integers(0, 12), min_size=1, max_size=30)


@given(item_counts=counts, max_items=st.integers(1, 20))
def test_micro_batches_are_the_draw_in_order_without_empty_owners(
    item_counts: list[int], max_items: int
) -> None:
    owners = list(range(len(item_counts)))
    runs = list(micro_batches(owners, item_counts, max_items))
    assert [owner for run in runs for owner in run] == [owner for owner in owners if item_counts[owner]]
    for run in runs:
        assert len(run) == 1 or sum(item_counts[owner] for owner in run) <= max_items


@given(item_counts=counts, max_items=st.integers(1, 20))
def test_micro_batches_are_as_full_as_they_can_be_in_order(item_counts: list[int], max_items: int) -> None:
    runs = list(micro_batches(range(len(item_counts)), item_counts, max_items))
    for run, following in pairwise(runs):
        assert sum(item_counts[owner] for owner in (*run, following[0])) > max_items


def test_a_draw_keeps_its_own_order() -> None:
    assert list(micro_batches([4, 0, 2], [1, 9, 1, 9, 1], 2)) == [(4, 0), (2,)]
    assert list(micro_batches([], [1, 1], 2)) == []
