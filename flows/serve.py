"""`lexveil serve` on a workspace: a process that exports models, and one without secrets that serves them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lexveil.flows.environment import select_harmless_environment

if TYPE_CHECKING:
    from lexveil.pipeline.serving.export import Follower
    from lexveil.pipeline.settings import EncryptedSettings
    from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]  # of the package, wherever it is installed
_PAUSE_SECONDS, _LOOK_SECONDS, _REMOTE_LOOK_SECONDS = 0.1, 2.0, 30.0
_STOP_SECONDS = 90  # requests in progress have a minute


def serve_workspace(
    workspace: Workspace,
    name: str | None,
    interrupted: Callable[[], bool],
    *,
    wait: bool = False,
    as_json: bool = False,
) -> int:
    """Export the workspace's model, and serve it in a process of its own until interrupted.

    Args:
        workspace: The workspace.
        name: Name or kind of the model; None: the kind in the settings.
        interrupted: Returns True once the endpoint must stop, even before it has started.
        wait: Start even without a model, and wait for one.
        as_json: Have the server print its URL as JSON.

    Returns:
        The exit code of the server, which has printed the reason.

    Raises:
        TrainingRefusedError: There is no such model, or its head cannot be served encrypted.
        EndpointError: A folder cannot be used.
    """
    from lexveil.pipeline.serving.endpoint import prepare_folders
    from lexveil.pipeline.serving.export import Follower, export_model
    from lexveil.pipeline.serving.server.offers import ServingBundle
    from lexveil.pipeline.serving.server.sandbox import hide_memory

    folder, state = prepare_folders(workspace)
    bundle = ServingBundle(folder)
    if not wait:
        export_model(workspace, name, bundle)
    if interrupted():
        return 0
    hide_memory()  # the server runs as the same user
    process = _start(folder, state, workspace.settings.encrypted, as_json)
    try:
        follow(Follower(workspace, name, bundle), lambda: interrupted() or process.poll() is not None)
    finally:
        _stop(process)
    return process.returncode


def follow(follower: Follower, ended: Callable[[], bool]) -> None:
    """Keep a bundle up to date until `ended` returns True."""
    seconds = _REMOTE_LOOK_SECONDS if follower.remote else _LOOK_SECONDS
    while not ended():
        try:
            follower.update()
        except Exception as error:  # the storage may have recovered by the next look
            log.warning("the models could not be checked (%s)", type(error).__name__)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not ended():
            time.sleep(_PAUSE_SECONDS)


def end_with_parent() -> None:
    """Send SIGTERM to this process when its standard input ends: at the latest when its parent ends."""

    def watch() -> None:
        while os.read(0, 1):  # not by sys.stdin, whose lock a thread may not hold at the end of the process
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _start(bundle: Path, state: Path, settings: EncryptedSettings, as_json: bool) -> subprocess.Popen[bytes]:
    environment = select_harmless_environment()
    paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    values = settings.model_dump(mode="json", exclude_none=True)
    for name in ("tls_certificate", "tls_key", "tls_client_authority"):
        if name in values:
            values[name] = str(Path(values[name]).resolve())
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "LEXVEIL_ENCRYPTED": json.dumps(values)}
    words = ["serve", "--bundle", str(bundle.resolve()), "--state", str(state.resolve()), "--attached"]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "lexveil.flows.cli", *words, *(["--json"] if as_json else [])],
        env=environment,
        cwd=state,  # a lexveil.toml of the working folder may name a database
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is for this process, which stops the server
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
