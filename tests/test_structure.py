"""The structure of the code keeps its figures, and docs/architecture.md tells the truth about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import structure

pytestmark = pytest.mark.slow  # `make check` runs them

ROOT = Path(__file__).resolve().parents[1]
FILES = structure.modules()


@pytest.fixture(scope="module")
def edges() -> structure.Graph:
    return structure.imports(FILES)


def test_no_module_imports_itself_in_a_circle(edges: structure.Graph) -> None:
    assert structure.circles(edges) == []


@pytest.mark.parametrize("package", structure.PACKAGES)
def test_no_packages_import_each_other_in_a_circle(edges: structure.Graph, package: str) -> None:
    assert structure.circles(structure.rooms(edges, package)) == []


def test_pipeline_is_shallow(edges: structure.Graph) -> None:
    assert len(list((ROOT / "pipeline").glob("*.py"))) <= 9
    assert structure.floors(structure.rooms(edges, "pipeline")) <= 9


def test_who_has_a_workspace_has_its_settings() -> None:
    assert len(structure.take_both(FILES)) <= 5


def test_functions_are_named_by_what_they_do() -> None:
    named, total = structure.participles(FILES)
    assert len(named) <= total / 100, named


def test_a_class_name_means_one_thing_in_a_package() -> None:
    assert structure.repeated_classes(FILES) == {}


def test_tests_are_as_large_as_promised() -> None:
    assert structure.lines_per_line("", FILES) >= 0.8
    assert structure.lines_per_line("nlp", FILES) >= 0.7


def tree() -> dict[str, set[str]]:
    """Packages and their modules, as the tree on the architecture page lists them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed: dict[str, set[str]] = {}
    for line in re.findall(r"^    *((?:pipeline|nlp|privacy|flows)/\S*)  +(.+)$", page, re.MULTILINE):
        names = line[1].split("--")[0].split()
        listed.setdefault(line[0].rstrip("/"), set()).update(names)
    return listed


@pytest.mark.parametrize("package", sorted(tree()))
def test_the_architecture_page_lists_what_is_there(package: str) -> None:
    folder = ROOT / package
    files = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    assert tree()[package] == files


def test_the_architecture_page_lists_every_package() -> None:
    folders = {file.parent.relative_to(ROOT).as_posix() for file in FILES.values()}
    with_modules = {
        folder for folder in folders if {f.stem for f in (ROOT / folder).glob("*.py")} - {"__init__"}
    }
    assert set(tree()) == with_modules


class TestFigures:
    """The measures themselves, on trees small enough to count by hand."""

    @pytest.fixture
    def house(self, tmp_path: Path) -> dict[str, Path]:
        files = {
            "pipeline/__init__.py": "",
            "pipeline/job.py": "from lexveil.pipeline.stages import mask\n",
            "pipeline/stages/__init__.py": "",
            "pipeline/stages/mask.py": "def go():\n    from lexveil.pipeline import paths\n",
            "pipeline/paths.py": "from typing import TYPE_CHECKING\n",
            "nlp/__init__.py": "from lexveil.nlp.text import Span\n",
            "nlp/text.py": "class Span: ...\n",
        }
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return structure.modules(tmp_path)

    def test_floors(self, house: dict[str, Path]) -> None:
        edges = structure.imports(house)
        assert edges["pipeline.job"] == {"pipeline.stages.mask"}
        assert edges["pipeline.stages.mask"] == {"pipeline.paths"}
        assert structure.floors(structure.rooms(edges, "pipeline")) == 3
        assert structure.circles(edges) == []

    @pytest.mark.parametrize(
        "back",
        [
            "from lexveil.pipeline.job import x\n",
            "def f():\n    from lexveil.pipeline import job\n",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lexveil.pipeline.job import X\n",
            "import lexveil.pipeline.job\n",
        ],
    )
    def test_a_circle_is_found_however_it_hides(self, house: dict[str, Path], back: str) -> None:
        house["pipeline.paths"].write_text(back)
        edges = structure.imports(house)
        assert structure.circles(edges) == [["pipeline.job", "pipeline.paths", "pipeline.stages.mask"]]
        assert structure.circles(structure.rooms(edges, "pipeline")) == [["job", "paths", "stages"]]

    def test_a_circle_through_a_package_s_face(self, house: dict[str, Path]) -> None:
        house["nlp.text"].write_text("from lexveil.nlp import Span\n")
        assert structure.circles(structure.imports(house)) == [["nlp", "nlp.text"]]

    def test_names(self, house: dict[str, Path]) -> None:
        house["nlp.text"].write_text(
            "class Span: ...\ndef located(): ...\ndef _united(): ...\ndef read(): ...\n"
            "def f(workspace, settings): ...\ndef read_part(): ...\n"
        )
        house["pipeline.paths"].write_text("class Span: ...\nclass Work: ...\nclass _Work: ...\n")
        house["pipeline.job"].write_text("class Work: ...\nclass _Work: ...\n")
        assert structure.participles(house) == (["nlp.text.located", "nlp.text._united"], 6)
        assert structure.take_both(house) == ["nlp.text.f"]
        assert structure.repeated_classes(house) == {"pipeline": ["Work"]}
