"""`lexveil` without its start-up: a process that has loaded the heavy libraries and forks for each command.

    python tests/warm_lexveil.py SOCKET PROCESS    starts it, until PROCESS ends; a connection is a command
    `make_client(SOCKET)`                          is the script that stands for `lexveil`

A command would otherwise spend three CPU-seconds on imports. A fork has its own arguments, folder,
environment, output and exit code; it runs the real `lexveil.flows.cli.main`, and ends as its client ends: a
signal to one of them is one to the other. It imports Prefect, as its environment tells, and starts its server
and its workers as always. It ends without freeing anything: to touch what it shares with the warm process is
to copy it, which takes two seconds.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from lexveil import SILENCE

CLIENT = """\
#!{python} -SsE
import json, os, signal, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(link, [len(request).to_bytes(8, "big")], [0, 1, 2])
link.sendall(request)
answers = link.makefile()
child = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _frame: os.kill(child, number))
code = int(answers.readline() or 1)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def make_client(address: str) -> str:
    """Return the script in place of `lexveil`: it hands over arguments, folder, environment and streams."""
    return CLIENT.format(python=sys.executable, socket=address)


def _warm_up() -> None:
    """Load what most commands load, and compute what depends on public data only."""
    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command does
    import dp_accounting.pld  # noqa: F401
    import duckdb  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import tenseal  # noqa: F401
    import transformers  # noqa: F401

    import lexveil.flows.cli  # noqa: F401
    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.encoders.config import PACKAGE_PRECISION
    from lexveil.nlp.encoders.public import PublicEncoder
    from lexveil.pipeline import job  # noqa: F401
    from lexveil.pipeline.joint import office  # noqa: F401
    from lexveil.pipeline.masking import decisions, standalone  # noqa: F401
    from lexveil.pipeline.reports import charts
    from lexveil.pipeline.reports import review_page as _review_page  # noqa: F401
    from lexveil.pipeline.serving.client import classifier as _client  # noqa: F401
    from lexveil.pipeline.stages import audit, evaluate, extract, train  # noqa: F401

    Detector.load("rules").detect("Warm up, Ms Jane Roe of 1 Elm Street.")
    _ = PublicEncoder.load(None, PACKAGE_PRECISION).public_mean
    with charts.drawing_style():
        charts.render_svg(charts.create_drawing(1)[0], "warm", "up")
    gc.collect()
    gc.freeze()


def _run_command(link: socket.socket) -> NoReturn:
    """Run one command in a fork, and report its exit code. It is killed if its client ends before it."""
    size, streams, _, _ = socket.recv_fds(link, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += link.recv(1 << 16)
    arguments, folder, environment = json.loads(request)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        with suppress(OSError):  # the client has ended
            link.sendall(f"{child}\n".encode())
        select.select([link, os.pidfd_open(child)], [], [])
        if select.select([link], [], [], 0)[0]:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with suppress(OSError):
            link.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    link.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _open_streams()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment | SILENCE)  # as the import of lexveil sets it in a process of its own
    tempfile.tempdir = None  # as TMPDIR says
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _dispatch(arguments)
    except SystemExit as ended:
        _end(ended.code)
    except BaseException:
        traceback.print_exc()
        _end(1)
    _end(0)


def _open_streams() -> None:
    """Open the standard streams again, as for a new interpreter: the old ones know what was a file."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _dispatch(arguments: list[str]) -> None:
    if arguments[:1] == ["--script"]:
        sys.argv = arguments[1:]
        runpy.run_path(arguments[1], run_name="__main__")
        return
    from lexveil.flows.cli import main

    main(arguments)


def _end(code: Any) -> NoReturn:
    """Do what an interpreter does at its end, but free nothing."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else code is not None)


def main() -> None:
    """Serve until terminated, or until the process of all tests has ended."""
    address, tests = sys.argv[1], int(sys.argv[2])
    _warm_up()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen()
    Path(address + ".new").rename(address)  # a client that sees it can connect
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.settimeout(1)
    while Path(f"/proc/{tests}").exists():
        try:
            link, _ = listener.accept()
        except TimeoutError:
            continue
        sys.stdout.flush()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _run_command(link)
        link.close()


if __name__ == "__main__":
    main()
