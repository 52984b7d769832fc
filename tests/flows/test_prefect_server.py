"""The server of a run that names none: a process of its own, gone with the process that started it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.deadlines import wait_until

SCRIPT = """
import json, os, signal, sys
from lexveil.flows.prefect_server import use_own_server
from prefect.client.orchestration import get_client

use_own_server()
use_own_server()
with get_client(sync_client=True) as client:
    answered = client.api_healthcheck() is None
    blocks = client.request("POST", "/block_types/filter").json()
task = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
children = [int(pid) for pid in open(task).read().split()]
facts = {
    "answered": answered,
    "blocks": blocks,
    "url": os.environ["PREFECT_API_URL"],
    "children": children,
    "told": [pid for pid in children if "a-secret" in open(f"/proc/{pid}/environ").read()],
    "imported": "prefect.server.api.server" in sys.modules,
}
print(json.dumps(facts), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""

LATE = """
import json, os, subprocess
from lexveil.flows import prefect_server
from lexveil.pipeline.errors import WorkspaceError

started = []
popen = subprocess.Popen.__init__
subprocess.Popen.__init__ = lambda *given, **named: (started.append(1), popen(*given, **named))[1]
prefect_server._START_SECONDS = 0
try:
    prefect_server.use_own_server()
except WorkspaceError as error:
    refused = str(error)
left = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()
print(json.dumps({"refused": refused, "started": len(started), "left": left}))
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_the_server_is_another_process_and_ends_with_this_one(
    end: str, tmp_path: Path, command_in: Callable[[Path], Command]
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    secrets = dict.fromkeys(("LEXVEIL_MASTER_KEY", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN"), "a-secret")
    done = command_in(tmp_path).run_script(tmp_path / "script.py", end, **secrets)
    assert done.returncode == (-signal.SIGKILL if end == "killed" else 0), done.stderr
    facts = json.loads(done.stdout)
    assert (facts["answered"], facts["imported"]) == (True, False)
    assert facts["blocks"] == []  # to register them takes a third of the server's start
    assert facts["url"].startswith("http://127.0.0.1:")
    assert len(facts["children"]) == 2  # the server, and the shell that watches over it
    assert facts["told"] == []
    wait_until(lambda: not any(map(is_running, facts["children"])))


def test_a_server_that_takes_too_long_is_ended(tmp_path: Path, command_in: Callable[[Path], Command]) -> None:
    (tmp_path / "script.py").write_text(LATE)
    done = command_in(tmp_path).run_script(tmp_path / "script.py")
    assert json.loads(done.stdout) == {"refused": "Prefect's server does not start", "started": 2, "left": []}


def test_a_server_that_is_named_is_used(tmp_path: Path, command_in: Callable[[Path], Command]) -> None:
    (tmp_path / "script.py").write_text(
        "import os\nfrom lexveil.flows.prefect_server import use_own_server\nuse_own_server()\n"
        "print(os.environ['PREFECT_API_URL'])"
    )
    named = "http://127.0.0.1:9/api"
    done = command_in(tmp_path).run_script(tmp_path / "script.py", PREFECT_API_URL=named)
    assert done.stdout.strip() == named, done.stderr
