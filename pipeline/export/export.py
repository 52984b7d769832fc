"""Masked documents as files: chooses the format, and writes all or nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lexveil.nlp.readers import UnreadableError, isolation
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.export import annotations, docx, pdf, tables
from lexveil.pipeline.export.documents import (
    COLUMNS,
    USUAL_COLUMNS,
    FileNames,
    MaskedDocument,
    iter_masked,
    mask_name,
    read_original,
)
from lexveil.pipeline.export.redaction import Redaction
from lexveil.pipeline.sources.documents import reader_limits
from lexveil.pipeline.workspace.outputs import is_written_through, place_output
from lexveil.pipeline.workspace.workspace import Workspace

_TABLES: dict[str, Callable[[Iterable[MaskedDocument], Path, Sequence[str]], None]] = {
    "jsonl": tables.write_jsonl,
    "csv": tables.write_csv,
    "parquet": tables.write_parquet,
    "hf": tables.write_dataset,
}
_ANNOTATIONS: dict[str, Callable[[Iterable[MaskedDocument], Path], None]] = {
    "docbin": annotations.write_docbin,
    "label-studio": annotations.write_label_studio,
}
_OWN_FORMATS: dict[str, Callable[[bytes, Redaction], bytes | None]] = {
    "docx": docx.redact_docx,
    "pdf": pdf.redact_pdf,
}
_OWN_SUFFIXES = {"docx": (".docx", ".docm"), "pdf": (".pdf",)}
_FOLDERS = {"txt", "hf", "docbin", *_OWN_FORMATS}
KINDS = ("txt", *_TABLES, *_ANNOTATIONS, *_OWN_FORMATS)
"""Kinds of exports."""


def export_documents(
    workspace: Workspace,
    target: Path,
    kind: str,
    columns: Sequence[str] = USUAL_COLUMNS,
    originals: Path | None = None,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write the masked documents. Needs the master key, for their names and for what was masked.

    Args:
        workspace: the workspace.
        target: file, or folder, to write; it appears complete or not at all.
        kind: one of `KINDS`.
        columns: columns of a table, of `COLUMNS`.
        originals: folder with the original files, for a kind that keeps their format.
        overwrite: replace what is there.

    Returns:
        Number of documents that were written, and of those that were not, by reason: `no_original` (it is not
        in the folder, or its text has changed), `not_redacted` (something that was masked would be left).

    Raises:
        SourceError: an unknown kind or column, no originals, or the target exists, cannot be written, or
            holds or is in what must not be replaced: the workspace, the originals, the current folder.
    """
    _check(kind, columns, originals)
    counts: Counter[str] = Counter()
    documents = _count(iter_masked(workspace), counts)
    target = _locate(workspace, target, originals)
    with place_output(target, kind in _FOLDERS, overwrite) as place:
        if kind in _TABLES:
            _TABLES[kind](documents, place, columns)
        elif kind in _ANNOTATIONS:
            _ANNOTATIONS[kind](documents, place)
        elif originals is not None and kind in _OWN_FORMATS:
            _write_own_format(workspace, documents, place, kind, originals, counts)
        else:
            _write_texts(documents, place)
    written = counts["documents"] - counts["no_original"] - counts["not_redacted"]
    return {**counts, "documents": written}


def _check(kind: str, columns: Sequence[str], originals: Path | None) -> None:
    if kind not in KINDS:
        raise SourceError(f"unknown kind of export; the kinds are {', '.join(KINDS)}")
    if unknown := [column for column in columns if column not in COLUMNS]:
        raise SourceError(f"unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}")
    if kind in _OWN_FORMATS and (originals is None or not originals.is_dir()):
        raise SourceError(f"an export as {kind} needs the original files: name their folder with --originals")


def _locate(workspace: Workspace, target: Path, originals: Path | None) -> Path:
    """Return the resolved path of a target; refuse one whose replacement would delete more than an export."""
    if is_written_through(target):
        return target
    found = target.resolve()
    kept = [one.resolve() for one in (workspace.root, originals) if isinstance(one, Path)]
    if any(found.is_relative_to(one) for one in kept) or any(
        one.is_relative_to(found) for one in (*kept, Path.cwd().resolve())
    ):
        raise SourceError(
            f"{target} overlaps the workspace, the originals or the current folder; name another place"
        )
    return found


def _count(documents: Iterable[MaskedDocument], counts: Counter[str]) -> Iterator[MaskedDocument]:
    for document in documents:
        counts["documents"] += 1
        yield document


def _write_texts(documents: Iterable[MaskedDocument], folder: Path) -> None:
    names = FileNames()
    for document in documents:
        (folder / names.give(document.name, ".txt")).write_text(document.text, encoding="utf-8", newline="")


def _write_own_format(
    workspace: Workspace,
    documents: Iterable[MaskedDocument],
    folder: Path,
    kind: str,
    originals: Path,
    counts: Counter[str],
) -> None:
    names = FileNames()
    files = _index_originals(workspace, originals, _OWN_SUFFIXES[kind])
    for document in documents:
        text = read_original(workspace, document)
        path = files.get(_digest(text))
        if path is None:
            counts["no_original"] += 1
            continue
        try:
            content = path.read_bytes()
        except OSError:
            counts["no_original"] += 1
            continue
        redacted = _redact(workspace, document, content, text, kind)
        if redacted is None:
            counts["not_redacted"] += 1
        else:
            name = mask_name(path.stem, document.replacements)
            (folder / names.give(name, f".{kind}")).write_bytes(redacted)


def _index_originals(workspace: Workspace, folder: Path, suffixes: Container[str]) -> dict[bytes, Path]:
    """Return the files of a format by the digest of their texts: a document may have another name."""
    limits = reader_limits(workspace.settings.ingest)
    files: dict[bytes, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes:
            continue
        with suppress(UnreadableError, OSError):
            if not path.is_file() or path.stat().st_size > limits.max_bytes:
                continue
            first = next(isolation.read_documents(path, limits), None)
            if first is not None and first.text is not None:
                files[_digest(first.text)] = path
    return files


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _redact(
    workspace: Workspace, document: MaskedDocument, content: bytes, text: str, kind: str
) -> bytes | None:
    """Return the file with what was masked replaced, after its reader has read it again; None if it leaks."""
    redaction = Redaction(text, document.text, document.replacements)
    if not redaction.is_sure:
        return None
    limits = reader_limits(workspace.settings.ingest)
    try:  # the file's bytes meet parsers in the process that reads files: this one holds the keys
        redacted = isolation.run(_OWN_FORMATS[kind], content, redaction, limits=limits)
    except UnreadableError:  # one that its reader accepts and another library does not
        return None
    if redacted is None:
        return None
    again = [one.text for one in isolation.read_content_documents(f"export.{kind}", redacted, limits)]
    texts = [text for text in again if text is not None]
    return None if len(texts) != 1 or redaction.leaks(texts[0]) else redacted
