"""Parquet through Arrow: only the row groups that hold a slice are read, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lexveil.nlp.readers.contract import Reason, UnreadableError

_BATCH = 64


def check(head: bytes) -> None:
    """Raises UnreadableError: encrypted (Parquet modular encryption), wrong_suffix."""
    if head.startswith(b"PARE"):
        raise UnreadableError(Reason.encrypted)
    if not head.startswith(b"PAR1"):
        raise UnreadableError(Reason.wrong_suffix)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException):
        pass
    raise UnreadableError(Reason.broken)


def sizes(path: Path) -> Iterator[tuple[int, int]]:
    """(0, mean size in bytes of a row of its row group) of every row, from the file's footer alone.

    Raises UnreadableError(broken).
    """
    with _open(path) as file:
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            for _ in range(group.num_rows):
                yield 0, group.total_byte_size // group.num_rows


def records(path: Path, first: int, count: int) -> Iterator[Mapping[str, object] | Reason]:
    """The `count` rows from `first` on; fewer when a row group is damaged. Raises UnreadableError(broken)."""
    import pyarrow as pa

    with _open(path) as file:
        groups: list[int] = []
        before = start = 0
        for index in range(file.num_row_groups):
            rows = file.metadata.row_group(index).num_rows
            if before + rows > first and before < first + count:
                start = start if groups else before
                groups.append(index)
            before += rows
        skip = first - start
        try:
            for batch in file.iter_batches(_BATCH, row_groups=groups, use_threads=False) if groups else ():
                taken = batch.slice(skip, count)
                skip = max(0, skip - batch.num_rows)
                count -= taken.num_rows
                yield from map(_row, (taken.slice(i, 1) for i in range(taken.num_rows)))
                if count <= 0:
                    return
        except (OSError, ValueError, pa.ArrowException):
            return


def _row(single: Any) -> Mapping[str, object] | Reason:
    """One row of a batch; a string that isn't UTF-8, or a date out of Python's range, costs only its row."""
    try:
        return single.to_pylist()[0]
    except (ValueError, OverflowError):
        return Reason.broken
