"""Traces of what is erased: its words, its path and its fields, held during an erasure to search for them.

A word counts if it can come from nowhere else: not from Lexveil's own program, settings and messages, not
from a public word list, not from the path or the fields of anything that is kept. What belongs to a kept
document, by its id, is that document's own and is not searched for words: rows of tables, review pages, gold.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.nlp.taggers.card import public_folder
from lexveil.nlp.taggers.contract import TaggerError
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.sources.documents import SourceItem
from lexveil.pipeline.sources.plan import open_plan, read_plans
from lexveil.pipeline.sources.scheduled import SCHEDULED, open_scheduled_sources
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_unreadable
from lexveil.pipeline.workspace.storage import is_remote
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import TamperedError, unseal

_RUN = re.compile(r"[^\W_]+")
_HAN = re.compile("[\u3400-\u9fff]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORD_LENGTH, _NUMBER_LENGTH, _HAN_LENGTH = 6, 9, 3  # shorter ones occur somewhere by chance
_SQLITE_LOGS = ("-wal", "-shm")  # read with their database
_SQLITE_MAGIC = b"SQLite format 3\0"
_DUMP_MAGIC = b"PGDMP"
# Tombstones must keep the ids; Prefect's own forms have many words of English.
_PASSED_OVER = re.compile(r"tombstones|block_(schema|type|document).*|sqlite_.*")


@dataclass(frozen=True, slots=True)
class Traces:
    """What an erasure searches for. Nothing of it is stored or shown.

    Attributes:
        ids: ids of the documents, items and quarantined entries.
        words: words of the texts, paths and fields, folded.
        phrases: whole paths, names and values of fields, by their longest word.
    """

    ids: frozenset[str]
    words: frozenset[str] = field(default=frozenset(), repr=False)
    phrases: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"], repr=False)

    def stand_in(self, text: str) -> bool:
        """Return True if a text contains an id, a word or a phrase."""
        if "\\u" in text:
            text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        runs = {run.casefold() for run in _RUN.findall(text)}
        if not runs.isdisjoint(self.ids) or not self.words.isdisjoint(_fold(runs)):
            return True
        return any(phrase in text for run in runs & self.phrases.keys() for phrase in self.phrases[run])

    def stand_in_bytes(self, content: bytes) -> bool:
        """Return True if a file's bytes contain an id, a word or a phrase in UTF-8."""
        return self.stand_in(content.decode("utf-8", "replace"))


def collect_traces(
    workspace: Workspace,
    doc_ids: Collection[str],
    items: Mapping[str, SourceItem],
    quarantined: Mapping[str, str],
) -> Traces:
    """Collect what to search for, before anything is erased.

    Args:
        workspace: the workspace.
        doc_ids: the documents.
        items: the source items that are erased with them, by id.
        quarantined: location of each quarantined entry, by its id.
    """
    texts, values = _read_documents(workspace, doc_ids)
    for item in items.values():
        values |= _list_values(item)
    values |= {where for where in quarantined.values() if "#" not in where}
    kept_values, kept_words = _read_kept(workspace, doc_ids, items)
    own = kept_words | _read_own_words() | _read_public_words() | _read_settings_words(workspace)
    words = _fold_texts([*texts, *values]) - own
    phrases: dict[str, list[str]] = {}
    for value in values - kept_values:
        runs = [run.casefold() for run in _RUN.findall(value)]
        if len(value) >= _WORD_LENGTH and len(runs) > 1:
            phrases.setdefault(max(runs, key=len), []).append(value)
    return Traces(frozenset({*doc_ids, *items, *quarantined}), frozenset(words), phrases)


def search_folder(
    workspace: Workspace, root: Path, traces: Traces, kept: Collection[str], passed_over: Collection[str]
) -> Iterator[tuple[Path, bool]]:
    """Search a workspace or a copy of one, and open what is sealed with the keys that the workspace has now.

    Args:
        workspace: the workspace.
        root: its root, or that of a copy; or a single file.
        traces: what to search for.
        kept: ids of the kept documents, whose rows are not searched for words.
        passed_over: names of files that are not searched.

    Yields:
        Each file, and whether it contains a trace.
    """
    inside = [root] if root.is_file() else sorted(root.rglob("*"))
    for path in inside:
        if not is_remote(path) and (not path.is_file() or path.name.endswith(_SQLITE_LOGS)):
            continue
        if path.name in passed_over:
            continue
        opened = _open(workspace, path)
        yield path, traces.stand_in(opened) or _stand_in_file(path, traces, kept)


def _open(workspace: Workspace, path: Path) -> str:
    """Return what the keys of the workspace open in a file, if it has paths or fields of source files."""
    with suppress(TamperedError):
        if path.parent.name == "plan" and path.suffix == ".sealed":
            items = open_plan(workspace.keys, int(path.stem), path.read_bytes())
            return "\n".join(
                value for item in items.values() if item is not None for value in _list_values(item)
            )
        if path.parent.name == "quarantine" and path.suffix == ".parquet":
            return "\n".join(entry.where for entry in read_unreadable(workspace, path))
        if path.name == SCHEDULED:
            return "\n".join(open_scheduled_sources(workspace, path.read_bytes()))
    return ""


def _stand_in_file(path: Path, traces: Traces, kept: Collection[str]) -> bool:
    if path.suffix == ".parquet":
        return _stand_in_table(path, traces, kept)
    if is_remote(path):
        return traces.stand_in_bytes(path.read_bytes())
    with path.open("rb") as file:
        head = file.read(len(_SQLITE_MAGIC))
    if head == _SQLITE_MAGIC:
        return stand_in_database(path, traces)
    if path.parent.name == "review":
        return traces.stand_in_bytes(_read_review(path, kept))
    content = _read_dump(path) if head.startswith(_DUMP_MAGIC) else path.read_bytes()
    return traces.stand_in_bytes(content)


def _read_review(path: Path, kept: Collection[str]) -> bytes:
    """Return what in a review page or in the gold belongs to no kept document."""
    if path.stem in kept:
        return b""
    content = path.read_bytes()
    if path.name != "gold.jsonl":
        return content
    return b"\n".join(line for line in content.splitlines() if json.loads(line)["id"] not in kept)


def _stand_in_table(path: Path, traces: Traces, kept: Collection[str]) -> bool:
    names = tables.read_column_names(path)
    table = tables.read_part(path, [name for name in names if name != "features"])
    wanted = pa.array(sorted(traces.ids), pa.string())
    columns = [table.column(n) for n in table.column_names if pa.types.is_string(table.column(n).type)]
    if any(pc.any(pc.is_in(column, value_set=wanted)).as_py() for column in columns):
        return True
    if "doc_id" in table.column_names:
        is_kept = pc.is_in(table.column("doc_id"), value_set=pa.array(sorted(kept), pa.string()))
        table = table.filter(pc.invert(is_kept))
    texts = [str(value) for row in table.to_pylist() for value in row.values() if isinstance(value, str)]
    return traces.stand_in("\n".join([*texts, *tables.read_notes(path).values()]))


def stand_in_database(path: Path, traces: Traces) -> bool:
    """Search every value of a SQLite database; in the bytes of its file, neighboring values run together."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return any(
            traces.stand_in("\n".join(_list_texts(row)))
            for name in names
            if not _PASSED_OVER.fullmatch(name)
            for row in connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608
        )


def _read_dump(path: Path) -> bytes:
    """Return the table of keys in a dump of PostgreSQL.

    Raises:
        WorkspaceError: the program that reads it is not installed, or fails.
    """
    program = shutil.which("pg_restore")
    if program is None:
        raise WorkspaceError("pg_restore is not installed; it comes with PostgreSQL's client programs")
    done = subprocess.run(
        [program, "--data-only", "--table=data_keys", "--file=-", str(path)],
        check=False, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        raise WorkspaceError(f"pg_restore exits with code {done.returncode}")
    return done.stdout


def _list_texts(row: Iterable[Any]) -> Iterator[str]:
    for value in row:
        if isinstance(value, bytes):
            yield value.decode("utf-8", "replace")
        elif isinstance(value, str):
            yield value


def _read_documents(workspace: Workspace, doc_ids: Collection[str]) -> tuple[list[str], set[str]]:
    """Return the texts of documents, and their ids in the sources, their labels and splits."""
    texts: list[str] = []
    values: set[str] = set()
    keys = workspace.keys.existing_keys(sorted(doc_ids))
    for path in sorted(workspace.raw.glob("part-*.parquet")) if keys else []:
        table = tables.read_part(path, ["doc_id", "label", "split", "payload"])
        wanted = pc.is_in(table.column("doc_id"), value_set=pa.array(sorted(keys), pa.string()))
        for row in table.filter(wanted).to_pylist():
            content = json.loads(unseal(keys[row["doc_id"]], row["payload"], f"raw:{row['doc_id']}"))
            texts.append(content["text"])
            values |= {value for value in (content["id"], row["label"], row["split"]) if value}
    return texts, values


def _list_values(item: SourceItem) -> set[str]:
    """Return an item's path, its file's name, and the values of its fields."""
    return {item.path, item.path.rpartition("/")[2], *_flatten(item.meta)}


def _flatten(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for entry in value.values():
            yield from _flatten(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _flatten(entry)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _read_kept(
    workspace: Workspace, doc_ids: Collection[str], items: Collection[str]
) -> tuple[set[str], set[str]]:
    """Return the values and the words of the paths and fields of everything that is kept."""
    values: set[str] = set()
    for planned in read_plans(workspace):
        for item_id, item in planned.items():
            if item is not None and item_id not in items:
                values |= _list_values(item)
    catalogue = workspace.catalogue.read().select(["doc_id", "label", "split"]).to_pylist()
    for row in catalogue:
        if row["doc_id"] not in doc_ids:
            values |= {value for value in (row["label"], row["split"]) if value}
    return values, _fold_texts(values)


def _fold_texts(texts: Iterable[str]) -> set[str]:
    return set(_fold({run.casefold() for text in texts for run in _RUN.findall(text)}))


def _fold(runs: Iterable[str]) -> Iterator[str]:
    """Yield the runs of letters and digits that are long enough; of Chinese ones, all strings of three."""
    for run in runs:
        if not run.isascii() and (han := _HAN.findall(run)):
            for piece in han:
                for start in range(len(piece) - _HAN_LENGTH + 1):
                    yield piece[start : start + _HAN_LENGTH]
        elif len(run) >= (_NUMBER_LENGTH if run.isdigit() else _WORD_LENGTH):
            yield run


def _read_settings_words(workspace: Workspace) -> set[str]:
    return _fold_texts([workspace.url, json.dumps(workspace.settings.model_dump(mode="json"))])


@functools.cache
def _read_own_words() -> frozenset[str]:
    """Return the words of Lexveil's own files."""
    root = Path(__file__).parents[2]
    files = [path for folder in root.iterdir() if folder.is_dir() for path in folder.rglob("*.py")]
    return frozenset(_fold_texts(path.read_text(encoding="utf-8") for path in files))


@functools.cache
def _read_public_words() -> frozenset[str]:
    """Return the words of the public encoder's vocabulary; none if it is not installed."""
    try:
        return frozenset((public_folder() / "vocab.txt").read_text(encoding="utf-8").split())
    except (OSError, TaggerError):
        return frozenset()
