"""Writes OLE compound files ([MS-CFB]): the container of old Office documents and Outlook messages."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _NONE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFD
_ROOT, _STORAGE, _STREAM = 5, 1, 2

Tree = Mapping[str, "bytes | Tree"]
"""Streams and storages by their names."""


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    children: list[int] = field(default_factory=list[int])
    start: int = 0


def build_compound_file(tree: Tree) -> bytes:
    """Build a compound file of these streams."""
    entries = [_Entry("Root Entry", _ROOT)]
    _add(entries, 0, tree)
    sectors: list[bytes] = []
    table: list[int] = []
    mini, mini_table = b"", list[int]()

    def store(data: bytes) -> int:
        first = len(sectors)
        count = -(-len(data) // _SECTOR)
        sectors.extend(data[n * _SECTOR : (n + 1) * _SECTOR].ljust(_SECTOR, b"\0") for n in range(count))
        table.extend([*range(first + 1, first + count), _END])
        return first

    for entry in entries:
        if entry.kind != _STREAM:
            continue
        if len(entry.data) >= _CUTOFF:
            entry.start = store(entry.data)
        elif entry.data:
            entry.start = len(mini) // _MINI
            count = -(-len(entry.data) // _MINI)
            mini += entry.data.ljust(count * _MINI, b"\0")
            mini_table += [*range(entry.start + 1, entry.start + count), _END]
        else:
            entry.start = _END
    entries[0].data = mini
    entries[0].start = store(mini) if mini else _END
    mini_start = store(struct.pack(f"<{len(mini_table)}I", *mini_table)) if mini_table else _END
    directory = store(b"".join(_pack(entries, number) for number in range(len(entries))))
    # The table has a row for each of its own sectors too.
    own = 1
    while (len(table) + own) * 4 > own * _SECTOR:
        own += 1
    first_own = len(sectors)
    rows = [*table, *[_FAT] * own]
    rows += [_FREE] * (own * _SECTOR // 4 - len(rows))
    content = b"".join(sectors) + struct.pack(f"<{len(rows)}I", *rows)
    mini_sectors = -(-len(mini_table) * 4 // _SECTOR)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, own, directory, 0, _CUTOFF)
    header += struct.pack("<IIII", mini_start, mini_sectors, _END, 0)
    places = [*range(first_own, first_own + own)]
    return header + struct.pack("<109I", *places, *[_FREE] * (109 - own)) + content


def _add(entries: list[_Entry], parent: int, tree: Tree) -> None:
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        value = tree[name]
        number = len(entries)
        entries[parent].children.append(number)
        if isinstance(value, bytes):
            entries.append(_Entry(name, _STREAM, value))
        else:
            entries.append(_Entry(name, _STORAGE))
            _add(entries, number, value)


def _pack(entries: list[_Entry], number: int) -> bytes:
    """Pack an entry of the directory; the entries of a storage are a chain to the right."""
    entry = entries[number]
    siblings = next((one.children for one in entries if number in one.children), [])
    place = siblings.index(number) if siblings else 0
    right = siblings[place + 1] if place + 1 < len(siblings) else _NONE
    child = entry.children[0] if entry.children else _NONE
    name = entry.name.encode("utf-16-le") + b"\0\0"
    size = len(entry.data)
    return struct.pack(
        "<64sHBBIII16xI8x8xIQ", name, len(name), entry.kind, 1, _NONE, right, child, 0, entry.start, size
    )
