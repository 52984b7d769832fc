"""Batches keep the order and the items, and respect their limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.batching import batch_by_count, batch_by_size


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [["a"], ["b"], ["c"]]), (2, [["a", "b"], ["c"]]), (3, [["a", "b", "c"]]), (9, [["a", "b", "c"]])],
)
def test_batches_by_count(count: int, expected: list[list[str]]) -> None:
    assert list(batch_by_count("abc", count)) == expected


def test_nothing_gives_no_batch() -> None:
    assert list(batch_by_count([], 3)) == []
    assert list(batch_by_size([], len, 3)) == []


def test_a_batch_takes_no_more_items_than_it_needs() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    assert next(batch_by_count(numbers(), 3)) == [0, 1, 2]
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["aa", "bb", "c"], [["aa", "bb"], ["c"]]),
        (["aaaa", "b"], [["aaaa"], ["b"]]),
        (["a", "bbbbbbbbb", "c", "d"], [["a"], ["bbbbbbbbb"], ["c", "d"]]),
        (["", "", "aaaa", ""], [["", "", "aaaa", ""]]),
    ],
    ids=["fits exactly", "full", "larger than a batch", "empty items"],
)
def test_batches_by_size(items: list[str], expected: list[list[str]]) -> None:
    assert list(batch_by_size(items, len, 4)) == expected


@given(st.lists(st.text(max_size=8)), st.integers(1, 12))
def test_no_batch_by_size_exceeds_its_limit_unless_it_is_one_item(items: list[str], limit: int) -> None:
    batches = list(batch_by_size(items, len, limit))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == 1 or sum(map(len, batch)) <= limit for batch in batches)
    assert all(batches)
