"""The structure of the code in figures: `python -m benchmarks.structure` prints one JSON object.

Imports are counted from the parsed code: those inside functions, those for the type checker alone, and those
of names from a package's `__init__` too. `tests/test_structure.py` holds the figures in `make check`.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "nlp", "privacy", "flows")
# A function named so says what something became, not what it does.
_PARTICIPLE = re.compile(r"_?[a-z]+(ed|told|found|made|built|read|taken|given|drawn|known|kept|held|sent)")
_READS = {"_read", "read"}  # the infinitive looks the same

Graph = Mapping[str, set[str]]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return the file of every module, by its name below `lexveil`."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for file in (root / package).rglob("*.py"):
            name = ".".join(file.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def imports(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which modules each module imports."""
    edges: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                base = node.module.removeprefix("lexveil.")
                targets = {f"{base}.{alias.name}" for alias in node.names}
                edges[name] |= {target if target in files else base for target in targets}
            elif isinstance(node, ast.Import):
                edges[name] |= {alias.name.removeprefix("lexveil.") for alias in node.names}
        edges[name] = (edges[name] & files.keys()) - {name}
    return edges


def circles(edges: Graph) -> list[list[str]]:
    """Return the groups of nodes that reach each other (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(edges[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def rooms(edges: Graph, package: str) -> dict[str, set[str]]:
    """Return which direct children of a package import which others."""

    def room(module: str) -> str | None:
        below = module.removeprefix(f"{package}.")
        return below.split(".")[0] if below != module else None

    graph: dict[str, set[str]] = defaultdict(set)
    for source, targets in edges.items():
        own = room(source)
        if own is not None:
            graph[own] |= {other for target in targets if (other := room(target)) not in (None, own)}
    return graph


def floors(graph: Graph) -> int:
    """Return the length of the longest way down, in rooms. The graph has no circles."""
    depth: dict[str, int] = {}

    def measure(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max(map(measure, graph[node]), default=0)
        return depth[node]

    return max(map(measure, graph), default=0)


def functions(files: Mapping[str, Path]) -> Iterator[tuple[str, FunctionNode]]:
    """Yield every function and method with its module."""
    for name, file in files.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, FunctionNode):
                yield name, node


def take_both(files: Mapping[str, Path]) -> list[str]:
    """Return the functions that take a workspace and settings, which the workspace holds."""
    found: list[str] = []
    for module, function in functions(files):
        names = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
        if "settings" in names and names & {"workspace", "place"}:
            found.append(f"{module}.{function.name}")
    return found


def participles(files: Mapping[str, Path]) -> tuple[list[str], int]:
    """Return the module functions that are named by a bare participle, and how many functions there are."""
    found: list[str] = []
    total = 0
    for module, file in files.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, FunctionNode):
                total += 1
                if _PARTICIPLE.fullmatch(node.name) and node.name not in _READS:
                    found.append(f"{module}.{node.name}")
    return found, total


def repeated_classes(files: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the names of public classes that a package has more than once."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for module, file in files.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                names[module.split(".")[0]][node.name] += 1
    repeated = {
        package: sorted(n for n, times in found.items() if times > 1) for package, found in names.items()
    }
    return {package: found for package, found in repeated.items() if found}


def lines_per_line(folder: str, files: Mapping[str, Path]) -> float:
    """Return the lines of tests per line of code of a package; "" for all packages.

    Cases in JSON lines count by their characters, as lines of the tests' average length.
    """
    code = [file for name, file in files.items() if not folder or name.split(".")[0] == folder]
    tests, cases = ((ROOT / "tests" / folder).rglob(kind) for kind in ("*.py", "*.jsonl"))
    of_code, of_tests, of_cases = (
        [file.read_text(encoding="utf-8") for file in kind] for kind in (code, tests, cases)
    )
    share_of_cases = sum(map(len, of_cases)) / sum(map(len, of_tests))
    return round((1 + share_of_cases) * _count_lines(of_tests) / _count_lines(of_code), 2)


def _count_lines(texts: list[str]) -> int:
    return sum(text.count("\n") for text in texts)


def measure() -> dict[str, object]:
    """Return all figures."""
    files = modules()
    edges = imports(files)
    graph = rooms(edges, "pipeline")
    named, total = participles(files)
    return {
        "files_on_top_of_pipeline": len(list((ROOT / "pipeline").glob("*.py"))),
        "circles": circles(edges),
        "circles_of_rooms": {package: circles(rooms(edges, package)) for package in PACKAGES},
        "floors_of_pipeline": floors(graph) if not circles(graph) else None,
        "arrows_of_pipeline": sum(map(len, graph.values())),
        "take_workspace_and_settings": take_both(files),
        "named_by_a_participle": named,
        "share_named_by_a_participle": round(len(named) / total, 4),
        "repeated_class_names": repeated_classes(files),
        "test_lines_per_code_line": {
            name or "whole": lines_per_line(name, files) for name in ("", *PACKAGES)
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
