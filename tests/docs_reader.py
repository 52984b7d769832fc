"""A reader of README and docs/: splits a page into its code blocks, and runs them in one shell.

A comment above a block says how to treat it; `tests/test_docs.py` lists these comments.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lexveil.nlp.cache import cache_folder
from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[1]
SHELLS = ("console", "sh", "bash")
DATA = ("toml", "yaml", "json", "text", "sql")
SECONDS = HANGS_AFTER
# The smallest run of everything. These override the settings of the pages' own files.
SMALL = {
    "LEXVEIL_MASK__DETECTOR": "rules",
    "LEXVEIL_TRAIN__STEPS": "4",
    "LEXVEIL_TRAIN__HELD_OUT": "0.2",
    "LEXVEIL_WORKERS": "1",
    "LEXVEIL_ENCRYPTED__SAMPLE": "4",
    "LEXVEIL_ENCRYPTED__WORKERS": "1",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        directive: The comment above it, as (directive, its value).
    """

    page: str
    line: int
    language: str
    text: str = field(repr=False)
    directive: tuple[str, str]

    @property
    def name(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command with the output that the page shows for it."""
        if self.language != "console":
            return [(self.text, "")]
        commands: list[tuple[str, str]] = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            end = next(n for n, line in enumerate(lines) if not line.rstrip("\n").endswith("\\"))
            commands.append(("".join(lines[: end + 1]), "".join(lines[end + 1 :])))
        return commands


FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- ([^:>]+?)(?:: ((?:(?!-->).)*?))? -->\s*\Z", re.DOTALL)


@cache
def read_blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks: list[Block] = []
    for fence in FENCE.finditer(text):
        indent, language, body = fence.groups()
        comment = _COMMENT.search(text, 0, fence.start())
        directive = (comment[1], " ".join((comment[2] or "").split())) if comment else ("", "")
        line = text.count("\n", 0, fence.start()) + 1
        plain = "".join(row.removeprefix(indent) for row in body.splitlines(keepends=True))
        blocks.append(Block(page, line, language, plain, directive))
    return blocks


@dataclass
class Shell:
    """One bash process for a page, its folder, and the servers that the page has started."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, str]
    process: subprocess.Popen[str] = field(init=False)
    servers: list[tuple[Block, subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def replace_ports(self, text: str) -> str:
        """Return a page's text with the ports of this test in place of the usual ones."""
        for usual, own in self.ports.items():
            text = re.sub(rf"(?<=[:= ]){usual}\b", own, text)
        return re.sub(r"^(\s*lexveil up )", rf"\1--port {self.ports['4200']} ", text, flags=re.MULTILINE)

    def run(self, text: str) -> tuple[int, str, str]:
        """Run a script in the page's shell, so that its exports stay; return exit code, stdout and stderr."""
        script, out, err = (self.folder.parent / name for name in ("block.sh", "out", "err"))
        script.write_text(self.replace_ports(text), encoding="utf-8")
        pipe = self.process.stdin
        assert pipe is not None
        assert self.process.stdout is not None
        pipe.write(f"set -e; . {script} >{out} 2>{err} </dev/null; set +e; echo ended\n")
        pipe.flush()
        ended = self.process.stdout.readline() == "ended\n"
        code = 0 if ended else self.process.wait()
        return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")

    def run_refused(self, text: str, code: int) -> tuple[int, str, str]:
        """Run a command that must fail with this exit code; the returned code is 0 if it did."""
        return self.run(f"refused=0\n{text.rstrip()} || refused=$?\n[ $refused = {code} ]\n")

    def serve(self, block: Block, ready: str) -> None:
        """Start a server that runs until the page ends, and wait until it is ready."""
        log = self.folder.parent / f"server-{len(self.servers)}.log"
        script = log.with_suffix(".sh")
        script.write_text(self.replace_ports(block.text), encoding="utf-8")
        with log.open("wb") as output:
            command = ["bash", "-e", str(script)]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.servers.append((block, process, log))
        deadline = time.monotonic() + SECONDS
        while not _is_ready(self.replace_ports(ready), log):
            said = log.read_text(encoding="utf-8")
            assert process.poll() is None, f"{block.name} ended: {said}"
            assert time.monotonic() < deadline, f"{block.name} is not ready: {said}"
            time.sleep(0.05)

    def close(self) -> None:
        """End the shell and the servers."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        self.process.wait(SECONDS)
        for block, process, log in reversed(self.servers):
            with suppress(ProcessLookupError):  # it has ended by itself: its exit code says so
                os.killpg(process.pid, signal.SIGTERM)
            code = process.wait(SECONDS)
            assert code in (0, 130, 143, -signal.SIGTERM), f"{block.name}: {log.read_text(encoding='utf-8')}"


def _is_ready(ready: str, log: Path) -> bool:
    if not ready.startswith("http"):
        return ready in log.read_text(encoding="utf-8")
    import httpx

    with suppress(httpx.HTTPError):
        # It speaks no TLS: to load the certificates of all authorities takes longer than to ask.
        httpx.get(ready, timeout=5, verify=False)
        return True
    return False


def find_free_ports(count: int) -> list[str]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in probes]


@contextmanager
def shell_in(folder: Path, programs: Path, database: Path) -> Iterator[Shell]:
    """Yield a shell like that of a reader who has installed Lexveil into .venv, and used it before.

    What takes long at a first use is there: the user's cache, and Prefect's tables in its `database`.
    """
    (folder / ".venv").mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / ".venv" / "bin").symlink_to(programs)
    home = folder.parent / "home"
    if not home.exists():
        (home / "prefect").mkdir(parents=True)
        shutil.copyfile(database, home / "prefect" / "prefect.db")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "XDG_"))}
    endpoint, server, metrics = find_free_ports(3)
    shell = Shell(
        folder,
        outside
        | SMALL
        | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(cache_folder().parent),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "LEXVEIL_ENCRYPTED__PORT": endpoint,
        },
        {"8300": endpoint, "4200": server, "9400": metrics},
    )
    try:
        yield shell
    finally:
        shell.close()


def follow(page: str, shell: Shell) -> None:
    """Do what the page says, and compare what is printed."""
    for block in read_blocks(page):
        directive, value = block.directive
        if directive == "file":
            target = shell.folder / value
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif directive == "keeps running, ready":
            shell.serve(block, value)
        elif directive == "not run" or block.language in DATA:
            continue
        elif block.language == "python":
            script = shell.folder.parent / "block.py"
            script.write_text(shell.replace_ports(block.text), encoding="utf-8")
            check_exit(block, block.text, shell.run(f"lexveil --script {shlex.quote(str(script))}\n"))
        else:
            for command, printed in block.commands:
                run = (
                    shell.run_refused(command, int(value)) if directive == "exit code" else shell.run(command)
                )
                out = check_exit(block, command, run)
                compare(block, printed, out)


def check_exit(block: Block, command: str, run: tuple[int, str, str]) -> str:
    """Check that a command succeeded, and return its output."""
    code, out, err = run
    assert code == 0, f"{block.name}: exit code {code}\n{command}\n{out[-1500:]}\n{err[-1500:]}"
    return out


def compare(block: Block, printed: str, out: str) -> None:
    """Check that each line that the page shows is printed, in this order, apart from numbers, digests, paths.

    Of a line that ends in dots, only the beginning must match.
    """
    left = iter([_shape(line) for line in out.splitlines()])
    for line in printed.splitlines():
        begun, dots, _ = line.partition("...")
        if begun.strip() or (line.strip() and not dots):
            shape = _shape(begun)
            is_printed = any(one.startswith(shape) if dots else one == shape for one in left)
            assert is_printed, f"{block.name} shows {line!r}, which is not what is printed:\n{out[-3000:]}"


def _shape(line: str) -> str:
    line = re.sub(r"[━┏┳┓┡╇┩│┃└┴┘─]+", "|", line)
    line = re.sub(r"[^\s|,]*[\d/][^\s|,]*", "#", line)
    return re.sub(r"\s+", "", re.sub(r"(#[\s,]*)+", "#", line))
