"""The Prefect server of a run without PREFECT_API_URL: it ends with this process, however this process ends.

Prefect would start the same server at a flow's first request, but import all of it into this process first,
which takes seconds.
"""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import sys
import time

import httpx
from prefect import __module_path__
from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL, get_current_settings

from lexveil.flows.environment import GARBAGE_THRESHOLDS, SERVER_VARIABLES, select_harmless_environment
from lexveil.pipeline.errors import WorkspaceError

_APP = "prefect.server.api.server:create_app"
# As Prefect sets them for its temporary server: without pages, and with the services that record task runs.
_EPHEMERAL = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
# No run uses a block. To look for types of them, the server would import all of Dask, Ray and Kubernetes.
_NO_BLOCKS = {
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}
# As `collect_seldom` does it, without an import of Lexveil.
_SERVE = f"import gc; gc.set_threshold{GARBAGE_THRESHOLDS}; from uvicorn import main; main()"
_CHECK_SECONDS = 0.1
_START_SECONDS = 180  # on a busy machine, and with tables to make
_STOP_SECONDS = 5
_MAX_STARTS = 5  # another process may take the port before the server does


def use_own_server() -> None:
    """Start a server for this process and have Prefect use it, unless the user has named one.

    Raises:
        WorkspaceError: It does not start.
    """
    if not PREFECT_API_URL.value():
        os.environ["PREFECT_API_URL"] = _start_server()
        refresh_global_settings_context()  # for all threads, also those that Prefect has started


@functools.cache
def _start_server() -> str:
    """Start a server and return the address of its API; start it again only if it has ended.

    Raises:
        WorkspaceError: It does not start.
    """
    until = time.monotonic() + _START_SECONDS
    # One client for all requests: each would otherwise load the certificates of all authorities.
    with httpx.Client(trust_env=False) as client:
        for _ in range(_MAX_STARTS):
            port = _find_free_port()
            server, guard = _start_process(port)
            url = f"http://127.0.0.1:{port}/api"
            while server.poll() is None and time.monotonic() < until:
                if _answers(client, url):
                    return url
                time.sleep(_CHECK_SECONDS)
            _stop_process(server, guard)
            if time.monotonic() >= until:
                break
    raise WorkspaceError("Prefect's server does not start")


def _start_process(port: int) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Start a server, and the process that ends it after this one."""
    # No code of the working folder may run: neither Python nor uvicorn gets it as its path.
    command = [sys.executable, "-c", _SERVE, "--app-dir", str(__module_path__.parent), "--factory", _APP]
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    given = select_harmless_environment(*SERVER_VARIABLES)
    environment = {**given, **_EPHEMERAL, **_NO_BLOCKS, **settings, "PYTHONSAFEPATH": "1"}
    server = subprocess.Popen([*command, *options], env=environment)
    # The shell reads until the system closes our end of the pipe, also after kill -9 of this process.
    guard = subprocess.Popen(
        ["sh", "-c", 'read -r _; kill "$0"', str(server.pid)],
        env=select_harmless_environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_stop_process, server, guard)
    return server, guard


def _stop_process(server: subprocess.Popen[bytes], guard: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    guard.kill()  # before it could signal another process that has got the server's id
    guard.wait()


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health").is_success
    except httpx.HTTPError:
        return False


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
