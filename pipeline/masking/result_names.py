"""Names of the files that results are written to, in a folder with the structure of the source's."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lexveil.nlp.readers import escape_name
from lexveil.nlp.readers.compression import split_name
from lexveil.pipeline.masking.result_files import FORMATS, TEXT, find_format

_FOLDER, _FILE = "folder", "file"


def name_results(sources: Sequence[Path], kinds: Sequence[str], keep_names: bool) -> list[Path]:
    """Return the path of each result in the target folder.

    Args:
        sources: paths of the files in their folder, sorted.
        kinds: formats of the results.
        keep_names: keep the names of files and folders. Otherwise numbers replace them: they may say who the
            parties are. Numbers follow the order of the names.
    """
    digits = len(str(len(sources)))
    folders: dict[Path, Path] = {Path(): Path()}
    below: Counter[Path] = Counter()
    names: dict[Path, None] = {}
    for number, (source, kind) in enumerate(zip(sources, kinds, strict=True), 1):
        for folder in reversed(source.parents[:-1]):
            if folder not in folders:
                below[folder.parent] += 1
                own = folder.name if keep_names else f"{_FOLDER}-{below[folder.parent]}"
                folders[folder] = folders[folder.parent] / own
        suffix = _find_suffix(source, kind)
        stem = source.name.removesuffix(suffix) if keep_names else f"{_FILE}-{number:0{digits}d}"
        path, count = folders[source.parent] / f"{stem}{suffix}", 1
        while path in names:
            count += 1
            path = folders[source.parent] / f"{stem}-{count}{suffix}"
        names[path] = None
    return list(names)


def list_results(sources: Sequence[Path], names: Sequence[Path], left: Mapping[int, str]) -> bytes:
    """Return a table of the files: the result of each, or why it has none (`left`, by number)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["source", "result", "error"])
    for number, (source, name) in enumerate(zip(sources, names, strict=True)):
        result = "" if number in left else name.as_posix()
        writer.writerow([escape_name(str(source)), escape_name(result), left.get(number, "")])
    return out.getvalue().encode()


def _find_suffix(source: Path, kind: str) -> str:
    """Return the suffix of a result: the file's own if it is of the same format, with its codec."""
    own, codec = split_name(source.name)
    if find_format(source.name) != kind or (kind == TEXT and own != ".txt"):
        return FORMATS[kind][0]
    return source.name[-len(own + (source.suffix if codec else "")) :]
