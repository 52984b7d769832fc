"""Conversion of files without a workspace: reading, conversion in workers, and writing of the results."""

from __future__ import annotations

import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lexveil.nlp.readers import DOCUMENT_SUFFIXES, Reason, UnreadableError, escape_name, isolation
from lexveil.nlp.readers import records as record_files
from lexveil.nlp.readers.compression import split_name
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.reading import (
    BATCH_BYTES,
    FACTS,
    Task,
    Unit,
    batch_units,
    process_units,
    select_fields,
)
from lexveil.pipeline.masking.result_files import FORMATS, TEXT, find_format, infer_types, open_results
from lexveil.pipeline.masking.result_names import list_results, name_results
from lexveil.pipeline.masking.texts import HELD_BACK
from lexveil.pipeline.records import OrderedMap, Progress
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.copies import copy_to_nameless_file
from lexveil.pipeline.sources.documents import reader_limits
from lexveil.pipeline.sources.files import count_skipped, list_source_files
from lexveil.pipeline.workspace.outputs import (
    STANDARD_STREAM,
    find_kind,
    is_written_through,
    open_output,
    place_output,
    refuse_existing,
    write_output,
)

if TYPE_CHECKING:
    import pyarrow as pa

_BY_CONTENT = ".doc"  # files of this name are read as what they are: text, PDF, HTML or an office format
_RESERVED = ("id", "spans", "error")

_Writing = AbstractContextManager[Callable[[Mapping[str, Any]], None]]


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How files are read and written.

    Attributes:
        format: one of `FORMATS`, for a source whose name does not show it: a stream, or an unknown suffix. In
            a folder, every result is written in it.
        keep: fields of a record that are written with its result, unmasked.
        keep_names: results have the names of their files. Otherwise `anonymize_file` numbers them: a name may
            say who the parties are.
        index: for folders, the file to write that maps results to source files.
        overwrite: replace what is there.
    """

    format: str | None = None
    keep: tuple[str, ...] = ()
    keep_names: bool = False
    index: Path | None = None
    overwrite: bool = False


@dataclass(slots=True)
class _Source:
    """A file to read.

    Attributes:
        path: where it can be read.
        is_records: it contains records; otherwise it is one document.
        document_id: id of the document.
        units: what workers read of it, piece by piece.
        error: why it cannot be read.
    """

    path: Path
    is_records: bool
    document_id: str | int = 1
    units: list[Unit] = field(default_factory=list[Unit])
    error: Reason | None = None


def convert(
    source: Path,
    target: Path,
    ingest: IngestSettings,
    task: Task,
    options: FileOptions,
    ordered: OrderedMap,
    progress: Progress | None,
) -> dict[str, Any]:
    """Convert a file or a folder, and return counts and the target.

    Raises:
        SourceError: `source` cannot be read, or `target` cannot be written or exists already.
    """
    _check_options(options, ingest)
    is_folder, kind = source != STANDARD_STREAM and find_kind(source) == "folder", find_kind(target)
    if is_folder and (kind in ("file", "stream") or is_written_through(target)):
        raise SourceError(f"{source} is a folder, but {target} is not")
    if not is_folder and kind == "folder":
        raise SourceError(f"{target} is a folder, but {source} is not")
    run = (_FolderConversion if is_folder else _FileConversion)(ingest, task, options, ordered, progress)
    try:
        run.convert(source, target)
    except UnreadableError as error:
        raise SourceError(f"cannot read {source}: {error.reason}") from None
    except OSError:
        raise SourceError(f"cannot write {target}") from None
    counted = (*(("files", "skipped") if is_folder else ()), "documents", *task.counted)
    return {**{name: run.counts[name] for name in counted}, "output": escape_name(str(target))}


def _check_options(options: FileOptions, ingest: IngestSettings) -> None:
    if options.format is not None and options.format not in FORMATS:
        raise SourceError(f"--format: unknown format; the formats are {', '.join(FORMATS)}")
    for name in options.keep:
        if name in _RESERVED:
            raise SourceError(f"--keep {name}: results already have a field with this name")
        if f"{ingest.text_field}.".startswith(f"{name}.") or name == "text":
            raise SourceError(f"--keep {name}: its value contains the text, which would not be masked")


class _Conversion:
    """One conversion, and its counts."""

    def __init__(
        self,
        ingest: IngestSettings,
        task: Task,
        options: FileOptions,
        ordered: OrderedMap,
        progress: Progress | None,
    ) -> None:
        self._ingest = ingest
        self._task = task
        self._options = options
        self._ordered = ordered
        self._progress = progress
        self._columns = ("id", task.column, "error", *options.keep)
        self._kept: set[str] = set()
        self.counts: Counter[str] = Counter()

    def _plan(self, number: int, file: _Source) -> None:
        """Divide a file into units."""
        pieces: Sequence[record_files.Slice | None] = [None]
        if file.is_records:
            size = min(self._ingest.shard_bytes, BATCH_BYTES)
            limits, most = reader_limits(self._ingest), self._ingest.shard_documents
            try:
                pieces = list(isolation.plan_slices(file.path, limits, most, size))
            except UnreadableError as error:
                file.error, pieces = error.reason, []
        file.units = [Unit(number, file.path, file.document_id, piece) for piece in pieces]

    def _iter_results(self, files: Sequence[_Source]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the number of its file with each result, in order, and count it."""
        batches = list(batch_units(unit for file in files for unit in file.units))
        work = functools.partial(process_units, self._task, self._ingest, self._options.keep)
        documents = 0
        self._tell(0, len(batches), documents)
        for done, results in enumerate(self._ordered(work, batches), 1):
            for number, result in results:
                self._count(result)
                yield number, result
            documents += len(results)
            self._tell(done, len(batches), documents)
        if missing := [name for name in self._options.keep if name not in self._kept]:
            raise SourceError(f"--keep {missing[0]}: no record has a field with this name")

    def _tell(self, done: int, total: int, documents: int) -> None:
        if self._progress is not None:
            self._progress(self._task.column, done, total, documents)

    def _count(self, result: dict[str, Any]) -> None:
        error = result.get("error")
        self.counts["held_back" if error == HELD_BACK else "unreadable" if error else "documents"] += 1
        self.counts.update(result.pop(FACTS, {}))
        if self._options.keep:
            self._kept.update(result)

    def _open_results(self, raw: IO[bytes], kind: str, name: str, file: _Source) -> _Writing:
        schema = self._make_schema(file) if kind == "parquet" else None
        return open_results(raw, kind, split_name(name)[1], self._columns, schema)

    def _make_schema(self, file: _Source) -> pa.Schema:
        import pyarrow as pa

        span = [("start", pa.int64()), ("end", pa.int64()), ("type", pa.string()), ("score", pa.float64())]
        types: dict[str, Any] = dict.fromkeys(self._columns, pa.string())
        types["text"] = pa.large_string()
        types["spans"] = pa.list_(pa.struct([*span, ("recognizer", pa.string())]))
        if self._options.keep:
            types |= infer_types(self._iter_kept(file), self._options.keep)
        return pa.schema([(column, types[column]) for column in self._columns])

    def _iter_kept(self, file: _Source) -> Iterator[dict[str, object]]:
        for unit in file.units:
            if unit.piece is not None:
                for record in isolation.read_slice(unit.path, unit.piece, reader_limits(self._ingest)):
                    if not isinstance(record, Reason):
                        yield select_fields(record, self._options.keep)


class _FileConversion(_Conversion):
    """The conversion of a file or a stream."""

    def convert(self, source: Path, target: Path) -> None:
        if self._options.index is not None:
            raise SourceError("--index is for folders")
        refuse_existing(target, self._options.overwrite)
        with ExitStack() as stack:
            file = self._open_source(source, target, stack)
            if self._options.keep and not file.is_records:
                raise SourceError("--keep names fields of records, and a document has none")
            kind = self._choose_format(target, file, is_named=file.path == source)
            self._plan(0, file)
            if file.error is not None:
                raise UnreadableError(file.error)
            raw = stack.enter_context(open_output(target))
            write = stack.enter_context(self._open_results(raw, kind, target.name, file))
            for _, result in self._iter_results([file]):
                if not file.is_records and "error" in result:
                    raise _refuse_document(source, result["error"])
                write(result)

    def _open_source(self, source: Path, target: Path, stack: ExitStack) -> _Source:
        """Return the file to read: a copy if it is a stream or its name does not show its format."""
        known = record_files.is_record_file(source) or split_name(source.name)[0] in DOCUMENT_SUFFIXES
        if source != STANDARD_STREAM:
            kind = find_kind(source)
            if not kind:
                raise SourceError(f"there is no file {source}")
            if kind == find_kind(target) == "file" and source.samefile(target):
                raise SourceError(f"{source} and {target} are the same file")
            if kind == "file" and (known or self._options.format is None):
                return _Source(source, record_files.is_record_file(source), self._name_document(source))
        suffixes = source.suffixes[-2:] if known else [self._choose_stream_suffix(source, target)]
        is_records = record_files.is_record_file(Path(f"object{''.join(suffixes)}"))
        most = None if is_records else self._ingest.max_file_bytes
        with _open_stream(source) as stream:
            copy = copy_to_nameless_file(_Bounded(stream, most), suffixes, stack)
        return _Source(copy, is_records, self._name_document(source))

    def _name_document(self, source: Path) -> str | int:
        return escape_name(source.name) if self._options.keep_names and source != STANDARD_STREAM else 1

    def _choose_stream_suffix(self, source: Path, target: Path) -> str:
        given = self._options.format
        if given is not None:
            return FORMATS[given][0]
        if find_format(target.name) not in ("", TEXT):
            raise SourceError(
                f"the format of {source} is unknown; name it with --format: {', '.join(FORMATS)}"
            )
        return _BY_CONTENT

    def _choose_format(self, target: Path, file: _Source, is_named: bool) -> str:
        """Return the format of a target.

        Args:
            target: the target.
            file: what is read.
            is_named: its name shows its format; otherwise --format does.
        """
        own, given = find_format(target.name), self._options.format
        if own and given and own != given and is_named:
            raise SourceError(f"by its name, {target} is {own}, but --format says {given}")
        usual = "jsonl" if file.is_records else self._task.document_format
        kind = own or (given if is_named or given != TEXT else usual)
        if not kind and is_written_through(target):
            kind = usual
        if not kind or (kind == "parquet" and split_name(target.name)[1]):
            suffixes = ", ".join(suffixes[0] for suffixes in FORMATS.values())
            raise SourceError(f"{target} has no known suffix ({suffixes}); name the format with --format")
        if kind == TEXT and self._task.column == "spans":
            raise SourceError(f"{target}: spans are not text; write them to a .jsonl, .csv or .parquet file")
        if kind == TEXT and file.is_records:
            raise SourceError(
                f"{target}: records are not text; write them to a .jsonl, .csv or .parquet file"
            )
        return kind


class _FolderConversion(_Conversion):
    """The conversion of all files of a folder."""

    def convert(self, source: Path, target: Path) -> None:
        self._check_places(source, target)
        found = list(list_source_files([source]))
        if not found:
            raise SourceError(f"there is no document in {source}")
        files = [_Source(file.path, record_files.is_record_file(file.path)) for file in found]
        kinds = [self._choose_format(file) for file in files]
        root = source.resolve()
        sources = [file.path.relative_to(root) for file in files]
        names = name_results(sources, kinds, self._options.keep_names)
        for number, (file, own) in enumerate(zip(files, sources, strict=True)):
            file.document_id = escape_name(str(own)) if self._options.keep_names else number + 1
            self._plan(number, file)
        with place_output(target, True, self._options.overwrite) as place:
            left = self._write(place, files, kinds, names)
        self.counts["files"] = len(files)
        self.counts["skipped"] = sum(count_skipped([source]).values())
        if self._options.index is not None:
            write_output(self._options.index, list_results(sources, names, left))

    def _check_places(self, source: Path, target: Path) -> None:
        """Refuse a target whose replacement would delete more than results, or that would be read again."""
        if target.exists() and not self._options.overwrite:
            raise SourceError(f"{target} exists; --overwrite replaces it")
        read, found = Path(os.path.realpath(source)), Path(os.path.realpath(target))
        if found.is_relative_to(read) or any(
            one.is_relative_to(found) for one in (read, Path.cwd().resolve())
        ):
            raise SourceError(f"{target} overlaps {source} or the current folder; name another place")
        index = self._options.index
        if index is not None:
            refuse_existing(index, self._options.overwrite)
            if Path(os.path.realpath(index)).is_relative_to(found):
                raise SourceError(f"{index} is in {target}: the index would be passed on with the results")

    def _choose_format(self, file: _Source) -> str:
        usual = (find_format(file.path.name) or "csv") if file.is_records else self._task.document_format
        kind = self._options.format or usual
        if kind == TEXT and (file.is_records or self._task.column == "spans"):
            raise SourceError("--format txt: neither records nor spans are text")
        return kind

    def _write(
        self, place: Path, files: Sequence[_Source], kinds: Sequence[str], names: Sequence[Path]
    ) -> dict[int, str]:
        """Write the results of all files; return why a file has none, by its number."""
        left = {number: str(file.error) for number, file in enumerate(files) if file.error is not None}
        self.counts["unreadable"] += len(left)
        for number, pairs in itertools.groupby(self._iter_results(files), lambda pair: pair[0]):
            results = (result for _, result in pairs)
            if not files[number].is_records:
                (result,) = results
                if "error" in result:
                    left[number] = result["error"]
                    continue
                results = iter([result])
            with (
                _create(place / names[number]) as raw,
                self._open_results(raw, kinds[number], names[number].name, files[number]) as write,
            ):
                for result in results:
                    write(result)
        return left


def _refuse_document(source: Path, error: str) -> Exception:
    if error == HELD_BACK:
        return SourceError(f"{source}: the second pass holds it back; nothing was written")
    return UnreadableError(Reason(error))


class _Bounded:
    """A stream that refuses to be longer than a document may be."""

    def __init__(self, stream: IO[bytes], most: int | None) -> None:
        self._stream = stream
        self._most = most
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """Read some bytes.

        Raises:
            UnreadableError: there are too many.
        """
        piece = self._stream.read(size)
        self._size += len(piece)
        if self._most is not None and self._size > self._most:
            raise UnreadableError(Reason.over_size)
        return piece


@contextmanager
def _open_stream(source: Path) -> Generator[IO[bytes]]:
    try:
        stream = os.fdopen(os.dup(0), "rb") if source == STANDARD_STREAM else source.open("rb")
    except OSError:
        raise UnreadableError(Reason.inaccessible) from None
    with stream:
        yield stream


@contextmanager
def _create(path: Path) -> Generator[IO[bytes]]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        yield sink
