"""Promise: no library reports anything. No look-up or connection leaves the machine, no file is left at home.

`python -m tests.network_watch` watches other commands in the same way, such as `lexveil up` or `make docs`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lexveil.nlp.cache import cache_folder

ROOT = Path(__file__).parents[2]
# Nothing else of the environment: where it names a server of continuous integration, onnxruntime is silent.
KEPT = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
# A proxy that must not hear what the processes of this machine say to each other.
PROXY = "http://192.0.2.80:3128"


@dataclass(frozen=True)
class Watched:
    """A command in a home of its own, and what it would have said to others."""

    folder: Path

    def run(self, *command: str | Path, **environment: str) -> list[str]:
        """Run a command with an empty temporary folder, and return what it asked of others."""
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        report = self.folder / "report.json"
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        own = {
            "HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1", "LEXVEIL_WORKERS": "1",
        }  # fmt: skip
        alone = ["unshare", "--map-root-user", "--net", "--mount"]
        done = subprocess.run(
            [*alone, sys.executable, "-m", "tests.network_watch", str(report), *map(str, command)],
            env={**kept, **own, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(report.read_text(encoding="utf-8"))
        assert found["lost"] == 0
        return found["seen"]

    def files(self) -> set[str]:
        """Return the files in the home and the temporary folder."""
        found = [path for name in ("home", "tmp") for path in (self.folder / name).rglob("*")]
        return {path.relative_to(self.folder).as_posix() for path in found if path.is_file()}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path / "watched")
    watched.folder.mkdir()
    try:
        watched.run("true")
    except (AssertionError, OSError) as reason:
        pytest.skip(f"no network namespace to watch in: {str(reason).strip().splitlines()[-1]}")
    return watched


def test_the_watch_sees_look_ups_and_connections(watched: Watched) -> None:
    program = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.getaddrinfo("collector.example", 443)
with contextlib.suppress(OSError):
    socket.create_connection(("192.0.2.77", 443), 5)
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", 9), 5)
"""
    assert watched.run(sys.executable, "-c", program) == [
        "connection to 192.0.2.77:443",
        "look-up of collector.example",
    ]


def test_the_main_job_reports_nothing_and_leaves_nothing_at_home(watched: Watched, tmp_path: Path) -> None:
    from fixtures.generate import generate

    generate(tmp_path / "generated", 12, 5, "jsonl")
    # What our own code has built is built once for all tests, since no library has a part in it: the detector
    # and digests of our files. It takes longer than the rest of the run.
    own = watched.folder / "home" / ".cache" / "lexveil"
    own.mkdir(parents=True)
    for kind in ("*.onnx", "*.int8", "code-*"):
        for built in cache_folder().glob(kind):
            shutil.copyfile(built, own / built.name)

    seen = watched.run(
        Path(sys.executable).with_name("lexveil"), "run", tmp_path / "generated" / "corpus", "--owner-field",
        "owner", "-w", tmp_path / "workspace", "--json",
        LEXVEIL_TRAIN__STEPS="3", LEXVEIL_TRAIN__HELD_OUT="0", LEXVEIL_ENCRYPTED__SAMPLE="2",
        HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY,
    )  # fmt: skip

    assert seen == []
    foreign = {name for name in watched.files() if not name.startswith("home/.cache/lexveil/")}
    assert foreign == set()
