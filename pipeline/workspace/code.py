"""Digests of the code that a stage's result depends on, computed from what the stage's module imports.

A stage redoes a shard when this digest changes. So it must change with every line of code that can change a
result, wherever that line is, and with nothing else: not with comments, docstrings or formatting.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lexveil.nlp.cache import cache_folder, mark_used, write_cached

PACKAGE = "lexveil"
ROOT = Path(__file__).parents[3]  # folder of the package, wherever it is installed

# Modules that cannot change a result, and why. The closure of imports stops at them. Everything else that a
# stage imports, directly or not, counts.
CANNOT_CHANGE_A_RESULT: Mapping[str, str] = {
    "lexveil.nlp.cache": "stores and returns bytes as they are, under a digest of what determines them",
    "lexveil.pipeline.errors": "only names and messages of errors",
    "lexveil.pipeline.logs": "only the text of log lines",
    "lexveil.pipeline.monitoring": "counts and times what others do",
    "lexveil.pipeline.outages": "distinguishes outages of a storage from missing files",
    "lexveil.pipeline.settings": "the values of the settings are part of every shard's key",
    "lexveil.pipeline.workspace.audit_log": "records what was done, after it was done",
    "lexveil.pipeline.workspace.code": "computes the digests: a change of them redoes everything anyway",
    "lexveil.pipeline.workspace.database": "stores and returns rows as they are",
    "lexveil.pipeline.workspace.keys": "finds the master key; ids depend on the key, not on its location",
    "lexveil.pipeline.workspace.lock": "keeps other processes out",
    "lexveil.pipeline.workspace.remote": "writes and reads bytes as they are",
    "lexveil.pipeline.workspace.shards": "carries shards out and lists those that are done",
    "lexveil.pipeline.workspace.storage": "writes and reads bytes as they are",
    "lexveil.pipeline.workspace.workspace": "says where files are",
    "lexveil.privacy.database": "stores and returns rows as they are",
    "lexveil.privacy.key_services": "wraps and unwraps keys",
    "lexveil.privacy.keystore": "keys are stored, not derived again",
}


@functools.cache
def code_digest(module: str) -> str:
    """Return the digest of a module and of everything it imports from these packages, 32 hex digits.

    Parsing the packages takes a second, so the digests are kept in the user's cache for as long as no file of
    the packages changes.

    Raises:
        LookupError: there is no such module.
    """
    try:
        files = _hash_files()
    except OSError:  # a file was deleted meanwhile
        return _compute_digest(module)
    place = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:16]
    path = cache_folder() / f"code-{place}-{module}"
    with suppress(OSError, ValueError):
        known, digest = path.read_text(encoding="ascii").split()
        if known == files:
            mark_used(path)
            return digest
    digest = _compute_digest(module)
    with suppress(OSError):  # without a writable cache, every process computes it
        write_cached(path, f"{files} {digest}".encode())
    return digest


@functools.cache
def _hash_files() -> str:
    """Return a digest of all files of the packages, and of the Python that parses them."""
    digest = hashlib.sha256(sys.version.encode())
    for folder, folders, names in os.walk(ROOT / PACKAGE, followlinks=True):
        folders[:] = sorted({*folders} - {"__pycache__"})
        for name in sorted(names):
            file = Path(folder, name)
            if not file.is_file():  # such as the lock of an editor, a link that leads nowhere
                continue
            content = file.read_bytes()
            digest.update(f"{folder}\n{name}\n{len(content)}\n".encode(errors="surrogateescape"))
            digest.update(content)
    return digest.hexdigest()


def _compute_digest(module: str) -> str:
    digest = hashlib.sha256()
    for name in sorted(import_closure(module)):
        digest.update(f"{name}\n{_dump(name)}\n".encode())
        for file in _list_data_files(name):
            digest.update(f"{file.name}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


@functools.cache
def import_closure(module: str) -> frozenset[str]:
    """Return the module and all modules of these packages that it imports, directly or indirectly.

    Imports inside functions count. Imports for the type checker alone do not.

    Raises:
        LookupError: there is no such module.
    """
    if _find_file(module) is None:
        raise LookupError(f"there is no module {module}")
    reached: set[str] = set()
    waiting = [*_add_parents(module)]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += (target for target in _list_imports(name) if not _is_cut(target))
    return frozenset(reached)


def _is_cut(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in CANNOT_CHANGE_A_RESULT)


@functools.cache
def _find_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def _parse(module: str) -> ast.Module:
    """Parse a module, without docstrings, comments and what only type checkers read."""
    file = _find_file(module)
    assert file is not None
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _has_no_effect(statement)]
    return tree


def _has_no_effect(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):  # a docstring, or a string that documents an attribute
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


@functools.cache
def _dump(module: str) -> str:
    return ast.dump(_parse(module))


@functools.cache
def _list_imports(module: str) -> frozenset[str]:
    return frozenset(_walk_imports(module))


def _walk_imports(module: str) -> Iterator[str]:
    file = _find_file(module)
    assert file is not None
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_parse(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _add_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from _add_parents(base)
            for alias in node.names:
                if _find_file(f"{base}.{alias.name}") is not None:
                    yield f"{base}.{alias.name}"


def _add_parents(name: str) -> Iterator[str]:
    """Yield a module of these packages, after the packages that Python runs before it."""
    parts = name.split(".")
    if parts[0] == PACKAGE:
        for length in range(2, len(parts) + 1):
            if _find_file(".".join(parts[:length])) is not None:
                yield ".".join(parts[:length])


def _list_data_files(module: str) -> list[Path]:
    """List word lists, templates and C sources next to a module. Weights have their own digest.

    What is compiled from a source counts as that source: an installation without it computes the same.
    """
    file = _find_file(module)
    assert file is not None
    others = (".py", ".typed", ".so")
    return sorted(path for path in file.parent.iterdir() if path.is_file() and path.suffix not in others)
