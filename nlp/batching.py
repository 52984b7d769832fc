"""Split a stream of items into batches of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batch_by_count(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """Yield lists of at most `count` items, in order; items are taken only as batches are asked for."""
    iterator = iter(items)
    while batch := list(islice(iterator, count)):
        yield batch


def batch_by_size(items: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Yield lists of items whose sizes sum to at most `limit`, in order; a larger item gets its own list."""
    batch: list[T] = []
    total = 0
    for item in items:
        if batch and total + size(item) > limit:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch
