"""Code that took over a worker can only compute: each attempt is made inside a real worker."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.serving import bundles
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.pool import EvaluationPool

# An evaluator that does what a request says, and tells how it ended. Workers import it by name.
EVALUATORS = """
import ctypes, json, os, socket, subprocess, sys
from pathlib import Path

ATTEMPTS = {
    "read": lambda path: Path(path).read_bytes(),
    "list": lambda path: os.listdir(path),
    "write": lambda path: Path(path).write_bytes(b"x"),
    "delete": lambda path: os.unlink(path),
    "tcp": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "udp": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "tcp6": lambda _: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
    "unix": lambda _: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "netlink": lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "run": lambda _: subprocess.run([sys.executable, "-c", ""], check=True),
    "kill": lambda process: os.kill(int(process), 0),
    "namespace": lambda _: call(272, 0x10000000),
    "io_uring": lambda _: call(425, 8, ctypes.create_string_buffer(256)),
    "trace": lambda process: call(101, 16, int(process), None, None),
    "memory": lambda process: Path(f"/proc/{process}/mem").open("rb"),
    "own": lambda path: Path(path).read_bytes(),
    "modules": lambda _: __import__("wave"),
    "privileges": lambda _: Path("/proc/self/status").read_text(),
    "shared": lambda _: os.memfd_create("own"),
}

def call(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

class Told:
    max_keys_bytes = max_ciphertext_bytes = 1 << 20

    def load_keys(self, blob):
        return blob

    def evaluate(self, blob, keys):
        what, about = json.loads(blob)
        try:
            ATTEMPTS[what](about)
        except (OSError, ImportError) as error:
            return type(error).__name__.encode()
        return b"it worked"

def evaluators():
    return {"block": Told()}
"""


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make attempts inside a worker that the pool has started; return how each ended."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "attempting.py").write_text(EVALUATORS)
    (tmp_path / "sessions").mkdir()
    keys = bundles.bundle([b"key"])
    (tmp_path / "sessions" / "keys").write_bytes(keys)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", "a master key")
    monkeypatch.setenv("LEXVEIL_DATABASE__URL", "postgresql://lexveil:password@database/lexveil")
    factory = importlib.import_module("attempting").evaluators
    head = {
        "evaluator": "block",
        "max_count": 100,
        "session": "s",
        "keys": str(tmp_path / "sessions" / "keys"),
        "keys_sha256": hashlib.sha256(keys).hexdigest(),
    }

    async def make(attempts: list[tuple[str, str]]) -> list[bytes]:
        pool = EvaluationPool(factory, WorkerLimits(spares=0), keys_folder=tmp_path / "sessions")
        await pool.start()
        try:
            blobs = [json.dumps(one).encode() for one in attempts]
            reply = await pool.answer(head, bundles.bundle(blobs), "attempts", "tenant")
            return bundles.unbundle(reply, len(blobs), 1 << 20)
        finally:
            await pool.close()

    yield lambda *attempts: asyncio.run(make(list(attempts)))
    del sys.modules["attempting"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "protected" / "master.key"
    path.parent.mkdir()
    path.write_bytes(b"the master key")
    return path


def test_secrets_of_the_machine_cannot_be_read(attempt: Any, secret: Path) -> None:
    server = os.getpid()
    attempts = [
        ("read", str(secret)),
        ("list", str(secret.parent)),
        ("read", str(secret.parents[1] / "code" / "attempting.py")),
        ("read", f"/proc/{server}/environ"),
        ("read", f"/proc/self/../{server}/environ"),
        ("read", "/proc/1/environ"),
        ("read", "/etc/passwd"),
        ("list", str(Path.home())),
        ("list", "/"),
        ("memory", str(server)),
    ]
    assert [found for found in attempt(*attempts) if found == b"it worked"] == []


def test_nothing_can_be_written_not_even_its_own_keys(attempt: Any, tmp_path: Path) -> None:
    keys = tmp_path / "sessions" / "keys"
    attempts = [
        ("write", str(keys)),
        ("delete", str(keys)),
        ("write", str(tmp_path / "new")),
        ("write", "/tmp/new"),
    ]
    assert attempt(*attempts) == [b"PermissionError"] * 4
    assert keys.exists()


def test_no_socket_opens_and_no_program_starts(attempt: Any) -> None:
    kinds = ("tcp", "udp", "tcp6", "unix", "netlink", "run")
    assert attempt(*((kind, "") for kind in kinds)) == [b"PermissionError"] * len(kinds)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are those of x86-64")
def test_no_other_process_is_reached_and_no_right_gained(attempt: Any) -> None:
    server = str(os.getpid())
    attempts = [("kill", server), ("trace", server), ("namespace", ""), ("io_uring", "")]
    assert attempt(*attempts) == [b"PermissionError"] * 4


def test_it_still_computes_and_reads_its_keys(attempt: Any, tmp_path: Path) -> None:
    attempts = [("own", str(tmp_path / "sessions" / "keys")), ("modules", ""), ("shared", "")]
    assert attempt(*attempts) == [b"it worked"] * 3


def test_what_a_kernel_lacks_is_named() -> None:
    program = (
        "import platform, ctypes, json\n"
        "from lexveil.pipeline.serving.server import sandbox\n"
        "class Old:\n"
        "    def __getattr__(self, name):\n"
        "        return lambda *_: -1\n"
        "sandbox._LIBC = Old()\n"
        "print(json.dumps(sandbox.confine_worker([])))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["memory", "capabilities", "files", "network"]


def test_a_server_reaches_its_own_folders_alone(tmp_path: Path, secret: Path) -> None:
    """In a process of its own: what is given up does not come back."""
    for name in ("bundle", "state"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    program = (
        "import json, os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from lexveil.pipeline.serving.server.sandbox import confine_server\n"
        "root = Path(sys.argv[1])\n"
        "missing = confine_server([root / 'bundle'], [root / 'state'])\n"
        "worker = 'lexveil.pipeline.serving.server.worker'\n"
        "def starts():\n"
        "    done = subprocess.run([sys.executable, '-m', worker, '99', '2147483648'], stderr=-1)\n"
        "    if b'Bad file descriptor' not in done.stderr:\n"
        "        raise OSError\n"
        "def tries(work):\n"
        "    try:\n"
        "        work()\n"
        "        return True\n"
        "    except OSError:\n"
        "        return False\n"
        "print(json.dumps([missing, [tries(work) for work in (\n"
        "    lambda: (root / 'bundle' / 'file').read_text(),\n"
        "    lambda: (root / 'state' / 'new').write_text('x'),\n"
        "    starts,\n"
        "    lambda: Path('/etc/hosts').read_text(),\n"
        "    lambda: (root / 'bundle' / 'file').write_text('x'),\n"
        "    lambda: (root / 'protected' / 'master.key').read_text(),\n"
        "    lambda: list(Path.home().iterdir()),\n"
        "    lambda: (root / 'new').write_text('x'),\n"
        "    lambda: list(Path('/etc').iterdir()),\n"
        "    lambda: Path('/etc/hostname').read_text(),\n"
        "    lambda: list(Path('/dev/shm').iterdir()),\n"
        "    lambda: Path(f'/proc/{os.getppid()}/environ').read_bytes(),\n"
        ")]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [[], [True] * 4 + [False] * 8]
    assert secret.exists()


@pytest.mark.parametrize("confine", ["confine_server([], [])", "confine_worker([])"])
def test_another_thread_is_not_confined_and_that_is_named(confine: str) -> None:
    """A library may have started it as it was imported."""
    program = (
        "import threading\n"
        "from lexveil.pipeline.serving.server.sandbox import confine_server, confine_worker\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        f"print(*{confine})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["files"]
