"""Detection and masking of a file without a workspace: records in, records out, in order."""

from __future__ import annotations

import functools
import gzip
import io
import json
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, TypeVar

import zstandard

from lexveil.nlp.readers import Reason, UnreadableError, read_document
from lexveil.nlp.readers import records as record_files
from lexveil.pipeline.errors import SettingsError, SourceError
from lexveil.pipeline.masking.texts import HELD_BACK, mask_texts, find_spans_to_mask
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import reader_limits

T = TypeVar("T")
R = TypeVar("R")
Ordered = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


_COUNT = "replacements"  # of a masked text, until they are counted


def detect_file(source: Path, target: Path, settings: Settings, ordered: Ordered = map) -> dict[str, Any]:
    """Write `{"id", "spans": [...]}` for every record of `source`, in order: what the policy would mask.

    Offsets count characters of the record's text field as it stands in the file; for a file that is one
    document, of its text as the reader gives it. A record that can't be read has `"error"` instead of spans.

    Raises:
        SourceError: `source` can't be read or `target` can't be written.
    """
    return _convert(source, target, settings, functools.partial(_detect, settings), ordered)


def anonymize_file(source: Path, target: Path, settings: Settings, ordered: Ordered = map) -> dict[str, Any]:
    """Write `{"id", "text"}` with masked text for every record; of a single document, the masked text.

    No other field of a record is carried over, since nothing would mask it. The replacements are not kept:
    this can't be undone. A record that fails the second pass has `"error"` instead of text. Masking is not
    anonymity.

    Raises:
        SourceError: `source` can't be read or `target` can't be written.
        SettingsError: the policy asks for pseudonyms over whole matters, which only a workspace knows.
    """
    if settings.mask.scope == "matter":
        raise SettingsError("setting mask.scope: matter needs a workspace; see `lexveil mask`")
    key = secrets.token_bytes(32)
    return _convert(source, target, settings, functools.partial(_anonymize, settings, key), ordered)


def _detect(settings: Settings, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = iter(find_spans_to_mask([r["text"] for r in records if "text" in r], settings.mask))
    return [
        {"id": record["id"], "spans": [asdict(span) for span in next(found)]} if "text" in record else record
        for record in records
    ]


def _anonymize(settings: Settings, key: bytes, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    masked = iter(mask_texts([r["text"] for r in records if "text" in r], settings.mask, key))
    results: list[dict[str, Any]] = []
    for record in records:
        if "text" not in record:
            results.append(record)
            continue
        outcome = next(masked)
        failed = outcome.verdict == "FAIL"
        told = (
            {"error": HELD_BACK}
            if failed
            else {"text": outcome.text, _COUNT: len(outcome.masked.replacements)}
        )
        results.append({"id": record["id"], **told})
    return results


def _convert(
    source: Path,
    target: Path,
    settings: Settings,
    work: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    ordered: Ordered,
) -> dict[str, Any]:
    if not source.is_file():
        raise SourceError(f"there is no file {source}")
    counts = {"documents": 0, "unreadable": 0, "spans": 0}
    try:
        if record_files.is_record_file(source):
            batches = _slices(source, settings)
        else:
            batches = iter(
                [[{"id": source.name, "text": read_document(source, reader_limits(settings.ingest))}]]
            )
        with _writer(target) as out:
            for results in ordered(work, batches):
                for result in results:
                    counts["unreadable" if "error" in result else "documents"] += 1
                    counts["spans"] += result.pop(_COUNT, len(result.get("spans", ())))
                    plain = "text" in result and not record_files.is_record_file(target)
                    out.write(result["text"] if plain else json.dumps(result, ensure_ascii=False) + "\n")
    except UnreadableError as error:
        raise SourceError(f"can't read {source}: {error.reason}") from None
    except OSError:
        raise SourceError(f"can't write {target}") from None
    return {**counts, "output": str(target)}


def _slices(source: Path, settings: Settings) -> Iterator[list[dict[str, Any]]]:
    ingest = settings.ingest
    for piece in record_files.plan_slices(
        source, reader_limits(ingest), ingest.shard_documents, ingest.shard_bytes
    ):
        batch: list[dict[str, Any]] = []
        for place, record in enumerate(
            record_files.read_slice(source, piece, reader_limits(ingest)), piece.first
        ):
            if isinstance(record, Reason):
                batch.append({"id": place, "error": record.value})
                continue
            name = record_files.get_field(record, ingest.id_field)
            text = record_files.get_field(record, ingest.text_field)
            usable = {"text": text} if isinstance(text, str) else {"error": Reason.missing_text.value}
            batch.append({"id": place if name is None else name, **usable})
        yield batch


@contextmanager
def _writer(target: Path) -> Generator[IO[str], None, None]:
    """Text to a file that appears whole or not at all, compressed as its suffix says."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as raw:
            if target.suffix == ".gz":
                sink: Any = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
            elif target.suffix == ".zst":
                sink = zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
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
