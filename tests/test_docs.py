"""The commands of README and of the pages of docs/ are run here, page by page.

The commands of a page run in one shell, in order, in a folder where the tutorial has been followed. A comment
above a block marks what cannot be run like this:

    <!-- not run: REASON -->            checked as far as it can be: its commands, options and files exist
    <!-- keeps running, ready: X -->    a server: started, waited for, ended with the page. X is an address
                                        that answers, or a text that is printed
    <!-- exit code: N -->               a command that must be refused
    <!-- file: NAME -->                 the block is a file that the reader writes

In ```console, lines after `$ ` are commands and the others what they print: compared in order, every number,
digest and path taken as equal to any other.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from docs_reader import DATA, FENCE, SECONDS, SHELLS, Block, follow, read_blocks, shell_in  # noqa: E402

TUTORIAL = "docs/tutorial.md"
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
REASONS = re.compile(
    r"needs (a [A-Za-z ]+|Docker|Vault|AWS|Kubernetes|PostgreSQL|two machines|the network)"
    r"|run by (tests/[\w/]+\.py|docs/[\w/-]+\.md)|takes (minutes|hours)|installs|waits for a person"
)
MOST_NOT_RUN = 28


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in read_blocks(page)]


@pytest.fixture(scope="module")
def followed(warm: Path, prefect_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tutorial was followed."""
    folder = tmp_path_factory.mktemp("tutorial") / "reader"
    folder.mkdir()
    with shell_in(folder, warm, prefect_database) as shell:
        follow(TUTORIAL, shell)
    return folder


def test_the_tutorial_can_be_followed(followed: Path) -> None:
    assert (followed / "demo/workspace/workspace.json").is_file()


def runs(page: str) -> bool:
    return any(
        block.language in (*SHELLS, "python") and block.directive[0] != "not run"
        for block in read_blocks(page)
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL and runs(page)])
def test_a_page_can_be_followed(
    page: str, followed: Path, warm: Path, prefect_database: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(followed, folder, symlinks=True)
    with shell_in(folder, warm, prefect_database) as shell:
        follow(page, shell)


# --- what cannot be run, and what is data ----------------------------------------------------------------


def test_every_block_is_one_that_is_known_here() -> None:
    known = ("", "not run", "keeps running, ready", "exit code", "file")
    for block in all_blocks():
        assert block.language in (*SHELLS, *DATA, "python"), block.name
        assert block.directive[0] in known, block.name


def test_no_command_hides_outside_of_a_block() -> None:
    for page in PAGES:
        outside = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
        assert not re.findall(
            r"^(?: {4,}|\t)(?:\$ )?(?:\.venv/bin/)?(?:lexveil|python|make|prefect) ", outside, re.M
        ), page


def test_what_is_not_run_has_a_good_reason() -> None:
    left = [block for block in all_blocks() if block.directive[0] == "not run"]
    for block in left:
        reason = block.directive[1]
        assert REASONS.match(reason), f"{block.name}: {reason}"
        if found := re.match(r"run by (\S+\.)(py|md)", reason):
            text = (ROOT / (found[1] + found[2])).read_text(encoding="utf-8")
            for word in re.findall(r"\blexveil (\w+)", block.text):
                assert (f'"{word}"' if found[2] == "py" else f"lexveil {word}") in text, block.name
    assert len(left) <= MOST_NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_not_run_could_be(page: str) -> None:
    """The syntax is the shell's, every option is the command's, every file of ours is there."""
    for block in read_blocks(page):
        if block.language in SHELLS and block.directive[0] in ("not run", "keeps running, ready"):
            for command, _ in block.commands:
                checked = subprocess.run(
                    ["bash", "-n"], input=command, text=True, capture_output=True, check=False
                )
                assert checked.returncode == 0, f"{block.name}: {checked.stderr}"
                for line in command.replace("\\\n", " ").splitlines():
                    check_line(block.name, line)
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for code in re.findall(r"`([^`\n]+)`", text):
        if code.startswith("lexveil "):
            check_line(page, re.sub(r", \.\.\.|\.\.\.", "", code), prose=True)


def check_line(where: str, line: str, prose: bool = False) -> None:
    """A line of shell that is not run; or code within a sentence, which may be the beginning of a command."""
    for part in re.split(r"&&|\|\||[;|&](?=\s|$)", line):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue  # a string or here-document of several lines
        for word in words[:-1] if words[:1] == ["cp"] else words:  # a copy is not there yet
            if re.match(r"(deploy|docs|fixtures|benchmarks|tests|nlp|privacy|pipeline|flows)/", word):
                assert (ROOT / word).exists() or "." not in word, f"{where}: there is no {word}"
        words = list(dropwhile(re.compile(r"[A-Z_]+=").match, words))
        if words[:1] == ["torchrun"]:
            words = words[words.index("lexveil") :]
        if words and words[0].rpartition("/")[2] == "lexveil":
            check_command(where, words[1:], prose)
        elif words[:1] == ["make"]:
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), f"{where}: {line}"
        elif "-m" in words and words[words.index("-m") + 1].partition(".")[0] in (
            "benchmarks",
            "fixtures",
            "nlp",
        ):
            module = ROOT / (words[words.index("-m") + 1].replace(".", "/"))
            source = (
                module.with_suffix(".py") if not module.is_dir() else module / "__main__.py"
            ).read_text()
            for option in (word for word in words if word.startswith("--")):
                assert f'"{option}"' in source, f"{where}: {option} is no option of {module.name}"


def check_command(where: str, words: list[str], prose: bool) -> None:
    """The words after `lexveil`: a command that exists, with options that it has."""
    from typer.main import get_command

    from lexveil.flows.cli import app

    command: Any = get_command(app)
    rest = list(words)
    if " ".join(rest[:2]) in command.commands:
        rest[:2] = [" ".join(rest[:2])]
    while rest and hasattr(command, "commands") and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    is_group = hasattr(command, "commands")
    assert not (is_group and rest and not rest[0].startswith("-")), (
        f"{where}: no command lexveil {' '.join(words)}"
    )
    known = {name for one in command.params for name in [*one.opts, *one.secondary_opts]} | {"--help"}
    for word in rest:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, f"{where}: lexveil {' '.join(words)} has no option {word}"
    assert prose or rest or not is_group, f"{where}: {words}"


@pytest.mark.parametrize("page", PAGES)
def test_data_in_a_page_is_what_it_says(page: str) -> None:
    from lexveil.pipeline.settings import Settings

    for block in read_blocks(page):
        if block.language == "json":
            for line in [block.text] if block.text.startswith("{\n") else block.text.splitlines():
                json.loads(line)
        elif block.language == "yaml":
            list(yaml.safe_load_all(block.text))
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language == "toml":
            given = tomllib.loads(block.text)
            detector = given.get("mask", {}).get("detector", "")
            if "/" in detector:
                given["mask"]["detector"] = "rules"  # the reader's own folder
            Settings.model_validate(given)


def test_links_of_the_readme_lead_somewhere() -> None:
    """Those of docs/ are checked when the site is built."""
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


# --- the site ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    from lxml import html

    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        tree = html.fromstring(page.read_bytes())
        for name in ("script/@src", "link/@href", "img/@src", "iframe/@src", "source/@src"):
            for address in tree.xpath(f"//{name}"):
                assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_links_of_the_site_lead_to_an_anchor(site: Path) -> None:
    """`mkdocs --strict` does not know the anchors of generated pages."""
    from urllib.parse import unquote, urlsplit

    from lxml import html

    trees = {page: html.fromstring(page.read_bytes()) for page in site.rglob("*.html")}
    anchors = {page: {*tree.xpath("//@id"), *tree.xpath("//a/@name")} for page, tree in trees.items()}
    for page, tree in trees.items():
        for address in tree.xpath("//a/@href"):
            link = urlsplit(address)
            if not link.netloc and link.fragment:
                target = Path(os.path.normpath(page.parent / unquote(link.path))) if link.path else page
                assert unquote(link.fragment) in anchors[target], f"{page.relative_to(site)}: {address}"


def test_the_reference_names_every_command_and_setting(site: Path) -> None:
    sys.path.append(str(ROOT / "docs"))
    import hooks

    from lexveil.pipeline.settings import Settings

    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    for name, _ in hooks.iterate_commands():
        assert f">{name}<" in commands
    for section in (
        Settings,
        *(kind for entry in Settings.model_fields.values() if (kind := hooks.get_section(entry))),
    ):
        comments = hooks.read_comments(section)
        for name, entry in section.model_fields.items():
            assert hooks.get_section(entry) or comments[name], f"{section.__name__}.{name} has no comment"
