"""Contents of the files of the sources: single documents, and records with fields."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lexveil.nlp.readers import (
    Limits,
    Reading,
    Reason,
    UnreadableError,
    escape_name,
    isolation,
    normalize_text,
)
from lexveil.nlp.readers import records as record_files
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.fields import read_label, read_word
from lexveil.pipeline.sources.files import SourceFile, list_source_files
from lexveil.pipeline.sources.objects import copy_object, fetch_objects
from lexveil.pipeline.sources.owners import (
    list_spellings,
    read_owner_names,
    read_spelled_names,
)
from lexveil.pipeline.workspace.storage import is_remote, locate, to_url
from lexveil.pipeline.workspace.tables import compute_digest

MISSING_OWNER = "missing_owner"
# The largest object that is read in memory; a larger one is read from a copy.
_FETCHED_BYTES, _FETCHED_FILES = 8 << 20, 64
FIELDS = ("text_field", "id_field", "label_field", "owner_field", "split_field")


@dataclass(frozen=True, slots=True)
class SourceItem:
    """A file that is one document, or a slice of a file of records.

    Attributes:
        path: absolute path of the file, or URL of the object.
        size: number of bytes.
        modified: time of the last change in nanoseconds; for an object, a number that identifies its version.
        digest: SHA-256 of the file's bytes; for an object, a digest of its version.
        piece: the slice; None if the file is one document.
        meta: facts about the document from a sidecar file.
        fields: names of the record's fields, as they were set when the item was first scanned.
        pieces: number of slices of the file.
    """

    path: str = field(repr=False)
    size: int
    modified: int
    digest: str
    piece: record_files.Slice | None = None
    meta: Mapping[str, Any] | None = field(default=None, repr=False)
    fields: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"], repr=False)
    pieces: int = 1

    @property
    def identity(self) -> str:
        """Digest that is equal for items of the same content and metadata, at any position in their file."""
        content = [self.digest] if self.piece is None else [self.piece.first, self.piece.count]
        if self.piece is not None:
            content += [self.piece.digest] if self.piece.digest else [self.digest, self.piece.offset]
        return compute_digest([self.path, content, self.meta, self.fields])

    @property
    def weight(self) -> tuple[int, int]:
        """Number of documents, and approximate number of bytes, that the item adds to a shard.

        A slice counts with the size of its whole file, so that only small files share a shard: slices of a
        large file have the size of a shard already.
        """
        return (1 if self.piece is None else self.piece.count, self.size)

    def to_json(self) -> dict[str, Any]:
        """Return the item as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SourceItem:
        """Read an item from what `to_json` returned."""
        piece = data["piece"] and record_files.Slice(**data["piece"])
        values: dict[str, Any] = {"pieces": 0, **data, "piece": piece}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that could not be read.

    Attributes:
        reason: reason code.
        where: path, and record number or name of the part, for the protected quarantine table only.
        content: SHA-256 of the content.
        item: identity of its source item.
    """

    reason: str
    where: str = field(repr=False)
    content: str = field(repr=False)
    item: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A container that is not a document itself, such as an archive, with the counts of what is not read.

    Attributes:
        notes: what is not read, counted by the codes of the readers.
    """

    notes: Mapping[str, int]


Outcome = SourceDocument | Rejected | Passed


def reader_limits(ingest: IngestSettings) -> Limits:
    """Return the limits for the readers of files."""
    return Limits(
        max_bytes=ingest.max_file_bytes,
        max_text_bytes=ingest.max_text_bytes,
        max_seconds=ingest.read_seconds,
        max_memory=ingest.read_bytes,
        ocr=ingest.ocr,
        unread_pages=ingest.unread_pages,
        others=ingest.other_formats,
    )


def scan_sources(
    sources: Sequence[Path],
    ingest: IngestSettings,
    known: Mapping[str, Sequence[SourceItem]] | None = None,
    find_erased: Callable[[Sequence[SourceFile]], Container[str]] = lambda files: (),
) -> list[SourceItem]:
    """List the items of the sources, in a stable order.

    Args:
        sources: files, folders and prefixes of object stores.
        ingest: settings.
        known: items of earlier scans, by path. A file with their size and time is not read again.
        find_erased: returns the addresses of those unknown files that were erased, which are left out unread.

    Raises:
        SourceMissingError: a source is missing or unreadable.
    """
    items: list[SourceItem] = []
    fields = {name: getattr(ingest, name) for name in FIELDS}
    files = list(list_source_files(sources))
    erased = find_erased([file for file in files if file.address not in (known or {})])
    for file in files:
        if file.address in erased:
            continue
        seen = (known or {}).get(file.address, ())
        if any((item.size, item.modified) != (file.size, file.modified) for item in seen):
            seen = ()
        digest = seen[0].digest if seen else file.digest()
        head = SourceItem(file.address, file.size, file.modified, digest, None, file.meta, fields)
        if not record_files.is_record_file(file.path):
            items.append(head)
            continue
        # A run that was killed while it wrote its plan may know only some slices of a file.
        whole = all(item.pieces == len(seen) and item.piece and item.piece.count for item in seen)
        known_pieces = sorted((item.piece for item in seen if item.piece), key=lambda piece: piece.first)
        pieces = known_pieces if known_pieces and whole else _plan_slices(file, ingest)
        items.extend(replace(head, piece=piece, pieces=len(pieces)) for piece in pieces)
    return items


def _plan_slices(file: SourceFile, ingest: IngestSettings) -> list[record_files.Slice]:
    limits = reader_limits(ingest)
    try:
        with _open_locally(file.path, file.modified) as path:
            return [*isolation.plan_slices(path, limits, ingest.shard_documents, ingest.shard_bytes)]
    except UnreadableError:
        # An item without records: when it is read, the reason goes to the quarantine.
        return [record_files.Slice(0, 0, 0)]


@contextmanager
def _open_locally(path: Path, version: int) -> Generator[Path, None, None]:
    """Yield a path of this machine at which the file can be read.

    Raises:
        UnreadableError: the object is missing or access is denied.
    """
    if not is_remote(path):
        yield path
        return
    with copy_object(path, version) as copy:
        yield copy


def folder_prefixes(sources: Sequence[Path]) -> list[str]:
    """Return the prefix of the paths in each source that is a folder: only there can a file be missing."""
    return [f"{to_url(source).rstrip('/')}/" for source in sources if source.is_dir()]


def is_gone(item: SourceItem) -> bool:
    """Return True if an item's file certainly does not exist; one that cannot be accessed may exist."""
    try:
        return not locate(item.path).exists()
    except OSError:
        return False


def read_source_id(item: SourceItem) -> str:
    """Return the id that the document of a file has in its source: that of its sidecar row, or its name."""
    return read_word(item.meta or {}, item.fields["id_field"]) or escape_name(locate(item.path).name)


def read_owners(item: SourceItem) -> tuple[str, ...]:
    """Return the owners that a sidecar row names for a file, in every spelling; none if there are none."""
    meta, name = item.meta or {}, item.fields["owner_field"]
    owners = read_owner_names(meta, name)
    return (*owners, *read_spelled_names(meta, name), *(s for owner in owners for s in list_spellings(owner)))


def read_items(items: Sequence[SourceItem], ingest: IngestSettings) -> Iterator[Outcome]:
    """Read the documents of these items, in order; small objects of a store are fetched concurrently."""
    for batch in _split_batches(items):
        contents = fetch_objects([item.path for item in batch if _is_fetched_whole(item, ingest)])
        for item in batch:
            yield from read_item(item, ingest, contents.get(item.path))


def read_item(
    item: SourceItem, ingest: IngestSettings, content: bytes | UnreadableError | None = None
) -> Iterator[Outcome]:
    """Read the documents of an item; yields the reason for what cannot be read. Bad content raises nothing.

    The documents inside of a file, such as attachments, have the facts of its sidecar row.

    Args:
        item: the item.
        ingest: settings.
        content: content of an object, or why it cannot be fetched, if it is known already.
    """
    path = locate(item.path)
    try:
        if item.piece is None:
            if isinstance(content, UnreadableError):
                raise content
            yield from _read_file(path, item, ingest, content)
            return
        with _open_locally(path, item.modified) as copy:
            if not item.piece.count:
                for _ in isolation.plan_slices(copy, reader_limits(ingest)):  # raises the reason
                    pass
                raise UnreadableError(Reason.broken)
            text_field = item.fields["text_field"] or "text"
            records = isolation.read_slice(copy, item.piece, reader_limits(ingest), text_field)
            for offset, record in enumerate(records):
                position = item.piece.first + offset
                where = f"{escape_name(item.path)}#{position}"
                if isinstance(record, Reason):
                    yield Rejected(record, where, compute_digest([item.digest, position]), item.identity)
                else:
                    fallback_id = f"{escape_name(path.name)}#{position}"
                    yield _to_document(record, ingest, item, fallback_id, where)
    except UnreadableError as error:
        yield Rejected(error.reason, escape_name(item.path), item.digest, item.identity)


def _read_file(
    path: Path, item: SourceItem, ingest: IngestSettings, content: bytes | None
) -> Iterator[Outcome]:
    """Read a file that is one document, and the documents inside of it."""
    texts: dict[str, str] = {}  # of the documents that contain others
    for reading in _list_readings(path, item, ingest, content):
        name = f"/{reading.name}" if reading.name else ""
        where = f"{escape_name(item.path)}{name}"
        if reading.reason is not None:
            digest = compute_digest([item.digest, reading.name]) if name else item.digest
            yield Rejected(reading.reason, where, digest, item.identity)
        elif reading.text is None:
            yield Passed(_count_notes(reading))
        else:
            if reading.belongs_to is None:
                texts = {reading.name: reading.text}
            record = {**(item.meta or {}), item.fields["text_field"] or "text": reading.text}
            document = _to_document(record, ingest, item, escape_name(path.name), where)
            if isinstance(document, SourceDocument):
                outer = reading.belongs_to
                document = replace(
                    document,
                    source_id=f"{document.source_id}{name}",
                    belongs_to=None if outer is None or document.owners else texts.get(outer),
                    notes=_count_notes(reading),
                    fields=reading.fields,
                )
            yield document


def _count_notes(reading: Reading) -> dict[str, int]:
    return {note.value: count for note, count in reading.notes.items()}


def _list_readings(
    path: Path, item: SourceItem, ingest: IngestSettings, content: bytes | None
) -> Iterator[Reading]:
    limits = reader_limits(ingest)
    if content is not None:
        yield from isolation.read_content_documents(path.name, content, limits)
        return
    if is_remote(path) and item.size > ingest.max_file_bytes:
        raise UnreadableError(Reason.over_size)
    with _open_locally(path, item.modified) as copy:
        yield from isolation.read_documents(copy, limits)


def _is_fetched_whole(item: SourceItem, ingest: IngestSettings) -> bool:
    small = item.size <= min(_FETCHED_BYTES, ingest.max_file_bytes)
    return item.piece is None and small and is_remote(locate(item.path))


def _split_batches(items: Sequence[SourceItem]) -> Iterator[list[SourceItem]]:
    batch: list[SourceItem] = []
    size = 0
    for item in items:
        if batch and (size + item.size > _FETCHED_BYTES or len(batch) >= _FETCHED_FILES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size if item.piece is None else 0
    if batch:
        yield batch


def _to_document(
    record: Mapping[str, Any], ingest: IngestSettings, item: SourceItem, fallback_id: str, where: str
) -> SourceDocument | Rejected:
    names = item.fields
    text: object = record_files.get_field(record, names["text_field"] or "text")
    owners = read_owner_names(record, names["owner_field"])
    reason: str | None = None
    if not isinstance(text, str):
        reason = Reason.missing_text
    elif not text.strip():
        reason = Reason.empty
    elif len(text) > ingest.max_text_bytes:
        reason = Reason.over_size
    elif names["owner_field"] is not None and not owners:
        # As an owner by itself, the document would weaken the protection of its real owner.
        reason = MISSING_OWNER
    if reason is not None or not isinstance(text, str):
        return _reject(reason or Reason.missing_text, record, item, where)
    return SourceDocument(
        text=normalize_text(text),
        source_id=read_word(record, names["id_field"]) or fallback_id,
        owners=owners,
        spelled=read_spelled_names(record, names["owner_field"]),
        label=read_label(record, names["label_field"]),
        split=read_word(record, names["split_field"]),
        item=item.identity,
        fields={} if item.piece is None else record_files.find_fields(record),
    )


def _reject(reason: str, record: Mapping[str, Any], item: SourceItem, where: str) -> Rejected:
    # Of a record, its own content: the same record is known again after its file has grown.
    content = item.digest if item.piece is None else compute_digest([item.path, dict(record)])
    return Rejected(reason, where, content, item.identity)


def check_fields(items: Iterable[SourceItem], ingest: IngestSettings, need_labels: bool) -> None:
    """Refuse field names that occur in no record, and labels that cannot train a classifier.

    Reads only as many records as the decision needs.

    Args:
        items: items of the sources.
        ingest: settings with the names.
        need_labels: refuse a label field with fewer than two classes.

    Raises:
        SourceError: a named field occurs nowhere, or the label field has fewer than two classes.
    """
    names = (ingest.label_field, ingest.owner_field, ingest.split_field)
    missing = dict.fromkeys(name for name in names if name)
    labels: set[str] = set()
    any_text = any_record = False
    for record in read_records(items, ingest):
        any_record = True
        any_text = any_text or record_files.get_field(record, ingest.text_field) is not None
        for name in list(missing):
            if record_files.get_field(record, name) is not None:
                del missing[name]
        labels.update(parse_classes(read_label(record, ingest.label_field)))
        if not missing and len(labels) > 1 and any_text:
            break
    if any_record and not any_text:
        raise SourceError(f"no record has the text field {ingest.text_field!r}; name it with --text-field")
    if missing:
        raise SourceError(
            f"no document has the field {next(iter(missing))!r}; check the name, dots reach into records"
        )
    if need_labels and (len(labels) == 1 or (ingest.label_field and not labels)):
        raise SourceError(
            f"the label field {ingest.label_field or 'label'!r} has {len(labels)} class, training needs two: "
            "name another with --label-field, or train without labels with --objective denoise"
        )


def read_records(items: Iterable[SourceItem], ingest: IngestSettings) -> Iterator[Mapping[str, Any]]:
    """Yield the records of files of records, and for each other file its sidecar row with an empty text."""
    for item in items:
        if item.piece is None:
            yield {**(item.meta or {}), ingest.text_field: ""}
            continue
        try:
            with _open_locally(locate(item.path), item.modified) as path:
                for record in isolation.read_slice(path, item.piece, reader_limits(ingest)):
                    if not isinstance(record, Reason):
                        yield record
        except UnreadableError:
            continue
