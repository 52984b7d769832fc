"""Which tests need what, and which tests a change can reach: both are read from imports and fixtures.

python -m tests.selection     print the test files that the changes since the last commit can reach
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from benchmarks import structure

ROOT = Path(__file__).resolve().parents[1]
# Mark: fixtures that a test of the mark asks for.
FIXTURES = {
    "server": {
        "postgres",
        "aws",
        "aws_server",
        "prefect_server",
        "prefect_server_in",
        "start_server",
        "live",
        "kept",
        "vault",
        "kms",
    },
    "browser": {"browser"},
    "workspace": {
        "finished",
        "finished_once",
        "masked",
        "masked_once",
        "encoded_once",
        "trained",
        "followed",
    },
    "process": {"command_in", "warm"},
    "model": {"bert_in", "encoder", "tiny", "tiny_folder", "topics"},
}
# Mark: what a file of the mark imports when it is collected, directly or through others.
_IMPORTS = {"model": {"torch", "tenseal", "transformers", "opacus"}, "server": {"prefect", "moto"}}
# Mark: what stands in the text of a file of the mark.
_WORDS = {
    "process": re.compile(r"\bsubprocess\.|\bmultiprocessing\b|\bos\.fork\(|\.run_script\(|WorkerPool\("),
    "workspace": re.compile(r"\b(?:ingest|mask|train|run_job|extract)\((?:place|workspace|Workspace)\b"),
    "model": re.compile(r"\bDetector\.load\(\s*\"default\"|import torch\b"),
}
# A change of these can reach every test.
_REACH_ALL = ("tests/conftest.py", "pyproject.toml", "constraints.txt", "src/lexveil/__init__.py")


def marks_of(file: Path, fixtures: Collection[str]) -> set[str]:
    """Return the marks of a test in a file that asks for these fixtures, directly or through others."""
    asked = set(fixtures)
    return {mark for mark, names in FIXTURES.items() if asked & names} | marks_of_file(file)


@functools.cache
def marks_of_file(file: Path) -> set[str]:
    """Return the marks that all tests of a file have."""
    text = file.read_text(encoding="utf-8")
    found = {mark for mark, words in _WORDS.items() if words.search(text)}
    external = _loaded(file)
    return found | {mark for mark, names in _IMPORTS.items() if external & names}


@functools.cache
def _files() -> dict[str, Path]:
    """Every module that tests may import, by its full name."""
    files = {f"lexveil.{name}": file for name, file in structure.modules(ROOT).items()}
    for folder in ("tests", "fixtures", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            files[name.removesuffix(".__init__")] = file
    return files


def _targets(statements: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@functools.cache
def _imported(file: Path, everything: bool) -> frozenset[str]:
    """Names that a file imports: all of them, or those that are imported when the file is."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(_targets(ast.walk(tree) if everything else tree.body))


@functools.cache
def _known(name: str) -> tuple[str, ...]:
    """Those of a name and of its parents that are modules of ours."""
    parents = (".".join(name.split(".")[:length]) for length in range(1, name.count(".") + 2))
    return tuple(parent for parent in parents if parent in _files())


def _closure(file: Path, everything: bool) -> tuple[set[str], set[str]]:
    """Our modules that a file reaches, and the packages of others."""
    ours: set[str] = set()
    others: set[str] = set()
    waiting = [*_imported(file, everything)]
    while waiting:
        name = waiting.pop()
        known = _known(name)
        if not known:
            others.add(name.partition(".")[0])
        for module in known:
            if module not in ours:
                ours.add(module)
                waiting += _imported(_files()[module], everything)
    return ours, others


def _loaded(file: Path) -> set[str]:
    return _closure(file, everything=False)[1]


def reached_by(changed: Collection[str], tests: Iterable[Path]) -> list[Path]:
    """Return the test files that a change of these files, relative to the root, can reach.

    A test reaches what it imports, also inside functions, what the `conftest.py` files above it import, and
    every file in its own folder that is no module.
    """
    if any(name in _REACH_ALL for name in changed):
        return sorted(tests)
    modules = {name for name, file in _files().items() if file.relative_to(ROOT).as_posix() in changed}
    folders = {str(Path(name).parent) for name in changed if not name.endswith(".py")}
    found: list[Path] = []
    for test in tests:
        own = test.relative_to(ROOT)
        helpers = [folder / "conftest.py" for folder in test.parents if folder.is_relative_to(ROOT / "tests")]
        files = [test, *(file for file in helpers if file.exists() and file.parent != ROOT / "tests")]
        reached = set[str]().union(*(_closure(file, everything=True)[0] for file in files))
        names = {file.relative_to(ROOT).as_posix() for file in files}
        # Templates, word lists and weights belong to the package whose folder they are in.
        packages = {str(_files()[module].parent.relative_to(ROOT)) for module in reached}
        if names & set(changed) or reached & modules or folders & ({str(own.parent)} | packages):
            found.append(test)
    return sorted(found)


def main() -> None:
    """Print the test files that changed files can reach, one per line."""
    commands = (["git", "diff", "--name-only", "HEAD"], ["git", "ls-files", "--others", "--exclude-standard"])
    changed = [
        line
        for command in commands
        for line in subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]
    for file in reached_by(changed, (ROOT / "tests").rglob("test_*.py")):
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
