"""Detection and masking of a file without a workspace: records in, records out, in order."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import itertools
import json
import lzma
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import zstandard

from lexveil.nlp.readers import Reason, UnreadableError, escape_name, isolation
from lexveil.nlp.readers import records as record_files
from lexveil.pipeline.errors import SettingsError, SourceError
from lexveil.pipeline.masking.texts import HELD_BACK, find_spans_to_mask, mask_texts
from lexveil.pipeline.records import OrderedMap
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import reader_limits

_COUNT = "replacements"  # field of a result that carries the number of replacements to the counts


def detect_file(source: Path, target: Path, settings: Settings, ordered: OrderedMap = map) -> dict[str, Any]:
    """Write `{"id", "spans": [...]}` for each record of a file: what the policy would mask.

    Offsets count characters of the record's text field; in a file that is one document, characters of the
    text that the reader returns. A record that cannot be read has `"error"` instead of spans.

    Args:
        source: file of records, or a document.
        target: file to write; it appears complete or not at all.
        settings: settings of reading and masking.
        ordered: applies detection to batches of records, in order.

    Returns:
        Counts of documents, unreadable records and spans, and the target.

    Raises:
        SourceError: `source` cannot be read or `target` cannot be written.
    """
    return _convert(source, target, settings, functools.partial(_detect, settings), ordered)


def anonymize_file(
    source: Path, target: Path, settings: Settings, ordered: OrderedMap = map
) -> dict[str, Any]:
    """Write `{"id", "text"}` with masked text for each record; for a single document, the masked text.

    Other fields of a record are left out, since nothing would mask them. The replacements are not stored, so
    this cannot be undone. A record that fails the second pass has `"error"` instead of text. Masking is not
    anonymity.

    Args:
        source: file of records, or a document.
        target: file to write; it appears complete or not at all.
        settings: settings of reading and masking.
        ordered: applies masking to batches of records, in order.

    Returns:
        Counts of documents, unreadable records and replacements (`spans`), and the target.

    Raises:
        SourceError: `source` cannot be read or `target` cannot be written.
        SettingsError: the policy requires pseudonyms over whole matters, which need a workspace.
    """
    if settings.mask.scope == "matter":
        raise SettingsError("setting mask.scope: matter needs a workspace; see `lexveil mask`")
    key = secrets.token_bytes(32)
    return _convert(source, target, settings, functools.partial(_anonymize, settings, key), ordered)


def _detect(settings: Settings, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spans = iter(find_spans_to_mask([r["text"] for r in records if "text" in r], settings.mask))
    return [
        {"id": record["id"], "spans": [asdict(span) for span in next(spans)]} if "text" in record else record
        for record in records
    ]


def _anonymize(settings: Settings, key: bytes, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    masked = iter(mask_texts([r["text"] for r in records if "text" in r], settings.mask, key))
    results: list[dict[str, Any]] = []
    for record in records:
        if "text" not in record:
            results.append(record)
            continue
        checked = next(masked)
        if checked.verdict == "FAIL":
            results.append({"id": record["id"], "error": HELD_BACK})
        else:
            count = len(checked.masked.replacements)
            results.append({"id": record["id"], "text": checked.text, _COUNT: count})
    return results


def _convert(
    source: Path,
    target: Path,
    settings: Settings,
    work: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    ordered: OrderedMap,
) -> dict[str, Any]:
    if not source.is_file():
        raise SourceError(f"there is no file {source}")
    counts = {"documents": 0, "unreadable": 0, "spans": 0}
    as_records = record_files.is_record_file(target)
    try:
        batches = _read_batches(source, settings)
        with _open_atomically(target) as out:
            for result in itertools.chain.from_iterable(ordered(work, batches)):
                counts["unreadable" if "error" in result else "documents"] += 1
                counts["spans"] += result.pop(_COUNT, len(result.get("spans", ())))
                plain = "text" in result and not as_records
                out.write(result["text"] if plain else json.dumps(result, ensure_ascii=False) + "\n")
    except UnreadableError as error:
        raise SourceError(f"cannot read {source}: {error.reason}") from None
    except OSError:
        raise SourceError(f"cannot write {target}") from None
    return {**counts, "output": escape_name(str(target))}


def _read_batches(source: Path, settings: Settings) -> Iterator[list[dict[str, Any]]]:
    if record_files.is_record_file(source):
        return _read_slices(source, settings)
    text = isolation.read_document(source, reader_limits(settings.ingest))
    return iter([[{"id": escape_name(source.name), "text": text}]])


def _read_slices(source: Path, settings: Settings) -> Iterator[list[dict[str, Any]]]:
    ingest = settings.ingest
    for piece in isolation.plan_slices(
        source, reader_limits(ingest), ingest.shard_documents, ingest.shard_bytes
    ):
        batch: list[dict[str, Any]] = []
        records = isolation.read_slice(source, piece, reader_limits(ingest))
        for number, record in enumerate(records, piece.first):
            if isinstance(record, Reason):
                batch.append({"id": number, "error": record.value})
                continue
            name = record_files.get_field(record, ingest.id_field)
            text = record_files.get_field(record, ingest.text_field)
            usable = {"text": text} if isinstance(text, str) else {"error": Reason.missing_text.value}
            batch.append({"id": number if name is None else name, **usable})
        yield batch


@contextmanager
def _open_atomically(target: Path) -> Generator[IO[str], None, None]:
    """Open a file for text, compressed by its suffix. It appears whole or not at all, with mode 0600."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            if target.suffix == ".gz":
                sink: Any = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
            elif target.suffix == ".zst":
                sink = zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
            elif target.suffix == ".bz2":
                sink = bz2.BZ2File(raw, "wb")
            elif target.suffix == ".xz":
                sink = lzma.LZMAFile(raw, "wb")  # noqa: SIM115 - closed below, like the others
            else:
                sink = raw
            text = io.TextIOWrapper(sink, encoding="utf-8", newline="")
            yield text
            text.flush()
            if sink is not raw:
                sink.close()
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
