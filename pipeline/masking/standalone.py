"""Detection and masking of files without a workspace: a file or a folder in, the same out, in order."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lexveil.nlp.masking.anonymize import CheckedText
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.masking.conversion import FileOptions, convert
from lexveil.pipeline.masking.reading import FACTS, NAMES, Records, Task
from lexveil.pipeline.masking.result_files import TEXT
from lexveil.pipeline.masking.texts import HELD_BACK, find_spans_to_mask, mask_texts
from lexveil.pipeline.records import OrderedMap, Progress
from lexveil.pipeline.settings import Settings


def detect_file(
    source: Path,
    target: Path,
    settings: Settings,
    ordered: OrderedMap = map,
    options: FileOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `{"id", "spans": [...]}` for each record of a file or of the files of a folder: what is masked.

    Offsets count characters of the record's text field; in a file that is one document, characters of the
    text that the reader returns. A record that cannot be read has `"error"` instead of spans.

    Args:
        source: file of records, document, or folder; "-" is standard input.
        target: file or folder to write, which appears complete or not at all; "-" is standard output.
        settings: settings of reading and masking.
        ordered: applies detection to batches, in order.
        options: how files are read and written.
        progress: listens to the progress.

    Returns:
        Counts of documents, unreadable records and spans, and the target.

    Raises:
        SourceError: `source` cannot be read, or `target` cannot be written or exists already.
    """
    # Offsets are useless without the originals, which have these names.
    named = replace(options or FileOptions(), keep_names=True)
    task = Task(functools.partial(_detect, settings), "spans", "jsonl", ("unreadable", "spans"))
    return convert(source, target, settings.ingest, task, named, ordered, progress)


def anonymize_file(
    source: Path,
    target: Path,
    settings: Settings,
    ordered: OrderedMap = map,
    options: FileOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `{"id", "text"}` with masked text for each record; for a document, its masked text.

    Other fields of a record are left out unless `options.keep` names them, since nothing masks them. The
    replacements are not stored, so this cannot be undone. A record that fails the second pass has `"error"`
    instead of text. Masking is not anonymity.

    Args:
        source: file of records, document, or folder; "-" is standard input.
        target: file or folder to write, which appears complete or not at all; "-" is standard output.
        settings: settings of reading and masking.
        ordered: applies masking to batches, in order.
        options: how files are read and written.
        progress: listens to the progress.

    Returns:
        Counts of documents, unreadable records, documents that the second pass holds back, documents that a
        person should review, and replacements (`spans`), and the target.

    Raises:
        SourceError: `source` cannot be read, or `target` cannot be written or exists already.
        SettingsError: the policy requires pseudonyms over whole matters, which need a workspace.
    """
    if settings.mask.scope == "matter":
        raise SettingsError("setting mask.scope: matter needs a workspace; see `lexveil mask`")
    key = secrets.token_bytes(32)
    counted = ("unreadable", "held_back", "to_review", "spans")
    task = Task(functools.partial(_anonymize, settings, key), "text", TEXT, counted)
    return convert(source, target, settings.ingest, task, options or FileOptions(), ordered, progress)


def _detect(settings: Settings, records: Records) -> Records:
    readable = [record for record in records if "text" in record]
    known = [record[NAMES] for record in readable]
    found = iter(find_spans_to_mask([record["text"] for record in readable], settings.mask, known))
    return [_add_spans(record, found) if "text" in record else record for record in records]


def _add_spans(record: dict[str, Any], found: Iterator[list[Span]]) -> dict[str, Any]:
    spans = [asdict(span) for span in next(found)]
    return {**_without_text(record), "spans": spans, FACTS: {"spans": len(spans)}}


def _anonymize(settings: Settings, key: bytes, records: Records) -> Records:
    readable = [record for record in records if "text" in record]
    known = [record[NAMES] for record in readable]
    masked = iter(mask_texts([record["text"] for record in readable], settings.mask, key, known))
    return [_add_text(record, next(masked)) if "text" in record else record for record in records]


def _add_text(record: dict[str, Any], checked: CheckedText) -> dict[str, Any]:
    result = _without_text(record)
    if checked.verdict == "FAIL":
        return {**result, "error": HELD_BACK}
    facts = {"spans": len(checked.masked.replacements), "to_review": int(checked.verdict == "REVIEW")}
    return {**result, "text": checked.text, FACTS: facts}


def _without_text(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("text", NAMES)}
