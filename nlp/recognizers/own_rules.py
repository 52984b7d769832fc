"""Recognizers and lists of strings that an office adds to those of Lexveil, without touching its code.

A class is named by its module, by its file or by an entry point. `own_recognizers` loads what is named here;
this module needs no Presidio.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "lexveil.recognizers"
"""Group of the entry points by which installed packages offer recognizers."""
SOURCE = ".py"
"""Suffix of a module that is named by its file."""


class OwnRulesError(ValueError):
    """Own rules cannot be used. The message is one line, which begins with the name of the setting."""


@dataclass(frozen=True, slots=True)
class OwnRules:
    """Rules of an office.

    Attributes:
        recognizers: `package.module:Class`, `path/file.py:Class`, or the name of an entry point of `GROUP`.
        files: paths of Presidio's files of recognizers.
        types: (type of these recognizers, type of Lexveil that it counts as).
        deny: (entity type, strings that are always masked as such).
        allow: strings that are never masked.
    """

    recognizers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    deny: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    allow: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return self != OwnRules()


NO_RULES = OwnRules()


def compute_rules_digest(rules: OwnRules) -> str:
    """Return the digest of the lists, the files and the code of the packages that rules name.

    Of a class in a module, the code is that of the whole top-level package.

    Raises:
        OwnRulesError: a module or file is missing.
    """
    digest = hashlib.sha256(json.dumps([rules.types, rules.deny, rules.allow]).encode())
    for name in rules.recognizers:
        digest.update(f"\n{name.rpartition(':')[2]}\n".encode())
        for file in _list_code(name):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    for name in rules.files:
        digest.update(hashlib.sha256(read_file(name)).digest())
    return digest.hexdigest()


def find_entry_point(where: str, name: str) -> EntryPoint:
    """Return an entry point of `GROUP`.

    Raises:
        OwnRulesError: no installed package has it.
    """
    found = [*entry_points(group=GROUP, name=name)]
    if not found:
        raise OwnRulesError(f"{where}: no installed package has an entry point of this name in {GROUP}")
    return found[0]


def _list_code(name: str) -> list[Path]:
    """Return the files with the code of a recognizer, without importing it."""
    where = f"recognizers: {name}"
    module = name.rpartition(":")[0] or find_entry_point(where, name).module
    if module.endswith(SOURCE):
        files = [Path(module)] if Path(module).is_file() else []
    else:
        try:
            spec = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.submodule_search_locations:
            files = sorted(
                file for top in spec.submodule_search_locations for file in Path(top).rglob("*.py")
            )
        else:
            files = [Path(spec.origin)] if spec is not None and spec.origin else []
    if not files:
        raise OwnRulesError(f"{where}: there is no such module, or it cannot be imported")
    return files


def read_file(name: str) -> bytes:
    """Read a file of recognizers.

    Raises:
        OwnRulesError: it cannot be read.
    """
    try:
        return Path(name).read_bytes()
    except OSError:
        raise OwnRulesError(f"recognizer_files: {name}: it cannot be read") from None
