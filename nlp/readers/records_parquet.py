"""Parquet, read by Arrow: only the row groups that contain a slice are read, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from lexveil.nlp.readers.contract import Reason, UnreadableError

_BATCH_ROWS = 64
_PLAIN = frozenset({str, bytes, bool, int, float, date, datetime, time, timedelta, Decimal, UUID})


def check_head(head: bytes) -> None:
    """Check the first bytes of a file.

    Raises:
        UnreadableError: encrypted (Parquet modular encryption), wrong_suffix.
    """
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


def iter_sizes(path: Path) -> Iterator[int]:
    """Iterate over the approximate sizes of all rows, in bytes, from the footer of the file alone.

    The size of a row is the mean of its row group.

    Raises:
        UnreadableError: broken.
    """
    with _open(path) as file:
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            for _ in range(group.num_rows):
                yield group.total_byte_size // group.num_rows


def iter_records(path: Path, first: int, count: int) -> Iterator[Mapping[str, object] | Reason]:
    """Iterate over `count` rows from index `first` on, or fewer if a row group is damaged.

    Yields:
        The row, or Reason.broken if one of its values cannot be represented.

    Raises:
        UnreadableError: broken.
    """
    import pyarrow as pa

    with _open(path) as file:
        groups, start = _find_groups(file, first, count)
        skip = first - start
        try:
            for batch in (
                file.iter_batches(_BATCH_ROWS, row_groups=groups, use_threads=False) if groups else ()
            ):
                taken = batch.slice(skip, count)
                skip = max(0, skip - batch.num_rows)
                count -= taken.num_rows
                yield from map(_convert_row, (taken.slice(i, 1) for i in range(taken.num_rows)))
                if count <= 0:
                    return
        except (OSError, ValueError, pa.ArrowException):
            return


def _find_groups(file: Any, first: int, count: int) -> tuple[list[int], int]:
    """Return the row groups that contain any of the rows, and the index of their first row."""
    groups: list[int] = []
    before = start = 0
    for index in range(file.num_row_groups):
        rows = file.metadata.row_group(index).num_rows
        if before + rows > first and before < first + count:
            start = start if groups else before
            groups.append(index)
        before += rows
    return groups, start


def _convert_row(single: Any) -> Mapping[str, object] | Reason:
    """Convert a batch of one row. A string that is not UTF-8, or a date out of range, costs only its row."""
    try:
        return {str(name): _convert_value(value) for name, value in single.to_pylist()[0].items()}
    except (ValueError, OverflowError, RecursionError):
        return Reason.broken


def _convert_value(value: Any) -> object:
    """Convert a value to plain data, which alone leaves the process of the readers."""
    kind = type(value)
    if kind in (datetime, time) and value.tzinfo is not None:
        # Arrow gives the zone as an object. A time of day without a date has no offset.
        offset = value.utcoffset()
        return value.isoformat() if offset is None else value.replace(tzinfo=timezone(offset))
    if value is None or kind in _PLAIN:
        return value
    if kind in (list, tuple):
        return kind(_convert_value(one) for one in value)
    if kind is dict:
        return {_convert_value(name): _convert_value(one) for name, one in value.items()}
    return str(value)
