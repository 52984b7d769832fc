"""`lexveil` without its start: a process that has loaded the heavy libraries, and whose forks are commands.

    python tests/warm_lexveil.py SOCKET        the process; a command is what connects
    SOCKET's client is `client(SOCKET)`        what stands on the PATH of a page of the documentation

Twenty commands of a page would spend a minute on imports alone. A fork has its own arguments, folder,
environment, output and exit code; it runs the real `lexveil.flows.cli.main`.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

CLIENT = """\
#!{python} -SsE
import json, os, signal, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(link, [len(asked).to_bytes(8, "big")], [0, 1, 2])
link.sendall(asked)
answers = link.makefile()
child = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _frame: os.kill(child, number))
sys.exit(int(answers.readline() or 1))
"""


def client(address: str) -> str:
    """The script in place of `lexveil`: it hands its arguments, folder, environment and streams over."""
    return CLIENT.format(python=sys.executable, socket=address)


def _warm_up() -> None:
    """Load what most commands load, and what they compute of public data only."""
    import transformers  # noqa: F401

    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.encoders.public import PublicEncoder
    from lexveil.pipeline import job  # noqa: F401
    from lexveil.pipeline.masking import decisions, standalone  # noqa: F401
    from lexveil.pipeline.serving.client import classifier as _client  # noqa: F401
    from lexveil.pipeline.stages import audit, evaluate, extract, train  # noqa: F401

    Detector.load("rules").detect("Warm up, Ms Jane Roe of 1 Elm Street.")
    _ = PublicEncoder.load().public_mean


def _carry_out(link: socket.socket) -> None:
    """One command: this process waits for it, and says how it ended."""
    size, streams, _, _ = socket.recv_fds(link, 8, 3)
    asked = b""
    while len(asked) < int.from_bytes(size, "big"):
        asked += link.recv(1 << 16)
    arguments, folder, environment = json.loads(asked)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        link.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        link.sendall(f"{os.waitstatus_to_exitcode(status) % 256}\n".encode())
        os._exit(0)
    link.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if arguments[:1] == ["--script"]:
        sys.argv = arguments[1:]
        runpy.run_path(arguments[1], run_name="__main__")
        return
    sys.argv = ["lexveil", *arguments]
    from lexveil.flows.cli import main

    main()


def main() -> None:
    """Serve until ended, or until the tests that started this are gone."""
    tests = os.getppid()
    _warm_up()
    address = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen()
    Path(address + ".new").rename(address)  # whoever finds it can connect
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.settimeout(1)
    while os.getppid() == tests:
        try:
            link, _ = listener.accept()
        except TimeoutError:
            continue
        sys.stdout.flush()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _carry_out(link)
            return
        link.close()


if __name__ == "__main__":
    main()
