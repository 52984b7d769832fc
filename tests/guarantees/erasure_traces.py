"""Erasures of random documents with words of their own, and a search for these words in what is left.

The search is not Lexveil's: it opens every sealed value under the workspace with every key that the key table
still has, whatever the value is said to be.

    python -m tests.guarantees.erasure_traces 200
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import zstandard

from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.documents import read_quarantine
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import MasterKey, unseal

ZSTD = b"\x28\xb5\x2f\xfd"  # how its frames begin
LETTERS = "bcdfghjklmnpqrstvwxz"


@dataclass(frozen=True)
class Planted:
    """A document, with the words that stand in it, in its path and in its fields, and nowhere else."""

    name: str
    words: tuple[str, ...]
    readable: bool


class Office:
    """A source folder, and a workspace of it."""

    def __init__(self, folder: Path, documents: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.source = folder / "in"
        self.source.mkdir(parents=True)
        ingest_settings = {"owner_field": "client", "shard_documents": 16}
        self.settings = Settings.model_validate(
            {"ingest": ingest_settings, "mask": {"detector": "rules"}, "train": {"objective": "denoise"}}
        )
        self.workspace = Workspace.create_or_open(folder / "workspace", self.settings)
        self.planted = [self.plant(number) for number in range(documents)]

    def word(self) -> str:
        return "".join(self.random.choices(LETTERS, k=12))

    def plant(self, number: int) -> Planted:
        """A file or a record, with a sidecar row or fields; or one that cannot be read; or a copied file."""
        kind = self.random.choice(("file", "file", "copied", "record", "unreadable", "unreadable_record"))
        words = [self.word() for _ in range(5)]
        said, named, client, judge, label = words
        fields = {"client": client, "judge": judge, "label": label}
        text = f"Mr {said.title()} of {said} shall pay the rent of flat {number} to the landlord."
        if kind in ("record", "unreadable_record"):
            record = {"id": named, "text": text if kind == "record" else "", **fields}
            self.append("all.jsonl", record)
            return Planted(named, tuple(words if kind == "record" else ()), kind == "record")
        content = text if kind != "unreadable" else "%PDF-1.7 broken"
        suffix = "pdf" if kind == "unreadable" else "txt"
        names = [f"{named}.{suffix}"]
        if kind == "copied":
            words.append(self.word())
            names.append(f"{words[-1]}.txt")
        for name in names:
            (self.source / name).write_text(content)
            self.append("metadata.jsonl", {"file_name": name, **fields})
        held = words if suffix == "txt" else words[1:]
        return Planted(names[0], tuple(held), suffix == "txt")

    def append(self, name: str, record: dict[str, str]) -> None:
        with (self.source / name).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def work(self) -> None:
        ingest(self.workspace, [self.source])
        mask(self.workspace)

    def erase(self, planted: Planted) -> int:
        """Erase a document by what a user knows of it; return what Lexveil's own search finds."""
        if planted.readable:
            return erase(self.workspace, planted.name).scan.left
        where = f"{self.source.resolve() / planted.name}"
        entries = [entry.item for entry in read_quarantine(self.workspace) if entry.where == where]
        return erase(self.workspace, entries[0]).scan.left if entries else 0

    def count_left(self, erased: list[Planted]) -> int:
        """Count the words of erased documents that are anywhere under the workspace, in any spelling."""
        content = b"\n".join(open_everything(self.workspace.root)).lower()
        return sum(word.encode() in content for planted in erased for word in planted.words)


def open_everything(root: Path) -> Iterator[bytes]:
    """Yield every file, every value of every table and database, and what any key that is left opens."""
    master = MasterKey.from_file(root / "protected" / "master.key", create=False)
    with sqlite3.connect(root / "protected" / "keys.sqlite") as connection:
        rows = connection.execute("SELECT id, wrapped FROM data_keys").fetchall()
    keys = {name: unseal(master.derive("wrap-data-keys"), wrapped, name) for name, wrapped in rows}
    opener = Opener(keys)
    for path in root.rglob("*"):
        if path.is_file():
            yield path.name.encode()
            yield path.read_bytes()
            yield from opener.open(path.read_bytes())
            for value in _list_values(path):
                yield value
                yield from opener.open(value)


class Opener:
    """Opens sealed values without being told which key and which context: AES-GCM without its tag."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        def decrypt(key: bytes, sealed: bytes) -> bytes:
            counter = sealed[1:13] + (2).to_bytes(4, "big")  # GCM's first block of text
            return Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor().update(sealed[13:-16])

        self._keys, self._decrypt = list(keys.values()), decrypt

    def open(self, sealed: bytes) -> Iterator[bytes]:
        """Yield what opens to text, and what is sealed within it."""
        if len(sealed) < 30 or sealed[0] not in (1, 2):
            return
        for key in self._keys:
            head = self._decrypt(key, sealed[: 13 + 64 + 16])
            if head.startswith(ZSTD) if sealed[0] == 2 else _is_text(head):
                opened = self._decrypt(key, sealed)
                if sealed[0] == 2:
                    opened = zstandard.ZstdDecompressor().decompress(opened)
                yield opened
                for value in _list_hex(opened):
                    yield from self.open(value)
                return


def _is_text(opened: bytes) -> bool:
    head = opened[:64]
    return all(byte >= 32 or byte in b"\n\t\r" for byte in head) and not head.strip(
        b"\n\t\r" + bytes(range(32, 127))
    )


def _list_hex(opened: bytes) -> Iterator[bytes]:
    try:
        entries: Any = json.loads(opened)
    except ValueError:
        return
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str):
            yield bytes.fromhex(entry[1])


def _list_values(path: Path) -> Iterator[bytes]:
    if path.suffix == ".parquet":
        for row in parquet.read_table(path).to_pylist():
            yield from (v if isinstance(v, bytes) else str(v).encode() for v in row.values())
    elif path.suffix == ".sqlite":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    yield from (v if isinstance(v, bytes) else str(v).encode() for v in row)


def measure(folder: Path, documents: int, erased: int, seed: int = 11) -> dict[str, int]:
    """Erase some of the documents, run again over the same sources, and search after each."""
    office = Office(folder, documents, seed)
    office.work()
    chosen = office.random.sample(office.planted, erased)
    before = office.count_left(chosen)
    found = sum(office.erase(planted) for planted in chosen)
    left = office.count_left(chosen)
    office.work()
    kept = [planted for planted in office.planted if planted not in chosen]
    return {
        "documents": documents,
        "erased": erased,
        "words": sum(len(planted.words) for planted in chosen),
        "words found before": before,
        "words left": left,
        "words left after the next run": office.count_left(chosen),
        "found by the own scan": found,
        "words of the kept": sum(len(planted.words) for planted in kept),
        "words of the kept left": office.count_left(kept),
    }


if __name__ == "__main__":
    number = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(Path(place), 2 * number, number), indent=1))
