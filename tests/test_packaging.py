"""One import package is installed, its imports go one way, and nothing of the workshop is shipped."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lexveil
from deploy.build_kernel import SOURCES, build
from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "nlp", "privacy", "flows")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Projects of these names are in the package index; whoever has one installed must be able to use Lexveil.
STRANGER = "raise RuntimeError('another package of this name was imported')\n"


@pytest.mark.parametrize("name", PACKAGES)
def test_the_links_lead_to_the_folders(name: str) -> None:
    link = ROOT / "src" / "lexveil" / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_the_version() -> None:
    assert lexveil.__version__ == metadata.version("lexveil") == PROJECT["project"]["version"]


@pytest.mark.parametrize("name", lexveil.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(lexveil, name).__doc__
    assert name in dir(lexveil)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, lexveil; sys.exit(' '.join({'torch', 'pydantic', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert done.returncode == 0, done.stderr


def test_the_command() -> None:
    assert PROJECT["project"]["scripts"] == {"lexveil": "lexveil.flows.cli:main"}


def test_packages_of_our_old_names_are_never_imported(tmp_path: Path) -> None:
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text(STRANGER)
    program = "import lexveil.flows.cli, lexveil.pipeline.job, lexveil.pipeline.stages.audit"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert done.returncode == 0, done.stderr


def read_pins() -> dict[str, str]:
    """Version of each distribution that an installation under constraints.txt has."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(";")[0].split("==") for line in lines if "==" in line)
    return {canonicalize_name(name.strip()): version.strip() for name, version in pairs}


@pytest.mark.parametrize("extra", sorted(PROJECT["project"]["optional-dependencies"]))
def test_no_extra_moves_a_pinned_version(extra: str) -> None:
    """What an extra needs, directly or not, agrees with what is pinned, and with what is installed of it."""
    pins = read_pins()
    waiting = [(Requirement(line), "") for line in PROJECT["project"]["optional-dependencies"][extra]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        needed, by = waiting.pop()
        name = canonicalize_name(needed.name)
        if needed.marker and not needed.marker.evaluate({"extra": by}):
            continue
        assert needed.specifier.contains(pins[name], prereleases=True), name
        if (key := (name, frozenset(needed.extras))) in seen:
            continue
        seen.add(key)
        with contextlib.suppress(metadata.PackageNotFoundError):
            assert metadata.version(name) == pins[name]
            for line in metadata.requires(name) or []:
                waiting += [(Requirement(line), of) for of in ("", *needed.extras)]
    assert seen


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made without a network by the build backend in this environment."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("a folder with spaces")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_AFTER)
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_owns_one_package_and_holds_every_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"lexveil"}
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    there = {f"lexveil/{name}" for name in tracked if (ROOT / name).is_file()}
    assert there - names == set()
    assert "lexveil/py.typed" in names
    assert not [name for name in names if "test_" in name or name.startswith(("tests", "fixtures"))]


def test_the_wheel_holds_what_a_compiler_made(wheel: Path, tmp_path: Path) -> None:
    quick = tmp_path / "cc"  # what it refuses does not depend on how well it optimizes
    quick.write_text('#!/bin/sh\nexec ${CC:-cc} "$@" -O0\n')
    quick.chmod(0o755)
    made = [file for name in SOURCES for file in build(ROOT / "src" / name, tmp_path, str(quick))]
    compiled = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")}
    assert compiled == {file.name for file in made}
    assert wheel.stem.endswith("py3-none-any") == (not made)


def test_imports_go_one_way() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_that_ships_imports_the_workshop(package: str) -> None:
    shop = ("fixtures", "tests", "benchmarks", "hypothesis", "pytest")
    lines = [
        line.split()
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith(("import ", "from "))
    ]
    assert [words for words in lines if words[1].partition(".")[0] in shop] == []
