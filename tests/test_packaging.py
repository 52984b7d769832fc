"""The packages are ours, their imports go one way, and nothing of the work-shop is shipped."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "nlp", "privacy", "flows")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PACKAGES)
def test_the_package_is_ours(name: str) -> None:
    # The index holds old packages of these names.
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).resolve() == ROOT / name / "__init__.py"


def test_only_the_packages_are_shipped() -> None:
    assert tuple(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    for name in PACKAGES:
        assert not list((ROOT / name).rglob("test_*.py"))


def test_the_command() -> None:
    assert PROJECT["project"]["scripts"] == {"lexveil": "lexveil.flows.cli:main"}


def test_imports_go_one_way() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("package", ["pipeline", "nlp", "privacy", "flows"])
def test_nothing_that_ships_imports_the_workshop(package: str) -> None:
    shop = ("fixtures", "tests", "benchmarks", "hypothesis", "pytest")
    lines = [
        line.split()
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith(("import ", "from "))
    ]
    assert [words for words in lines if words[1].partition(".")[0] in shop] == []
