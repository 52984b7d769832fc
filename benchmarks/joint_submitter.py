"""Kill `lexveil join rehearse` at many moments, give it again, and compare the models.

    python -m benchmarks.joint_submitter [--only POINT ...]

The offices that a killed rehearsal has started live on. The command is given again at once and, if it could
not end while they worked, once more when they have ended. The keys of the noise and of the workspaces are the
same in every case, so that all weights must equal those of a rehearsal without a kill, bit for bit.
`charged_once` and `one_line` are those of `benchmarks.joint_kills`; here each office may have its line.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.contract import Outcome, run
from benchmarks.joint_kills import (
    OFFICES,
    PATIENCE,
    Case,
    Point,
    Stage,
    call_command,
    is_charged_once,
    named,
    read_weights,
    summarize,
    write_inputs,
)


def _rehearsal() -> Any:
    from lexveil.pipeline.joint import rehearsal

    return rehearsal


def _started() -> Any:
    return Forked


POINTS = (
    Point("before the records are dealt out", lambda: _rehearsal(), "_deal_out"),
    Point("one file of records written", lambda: Path, "write_text", after=True, counts=named("records")),
    Point("records dealt out", lambda: _rehearsal(), "_deal_out", after=True),
    Point("one office has ingested", lambda: _rehearsal(), "ingest", after=True),
    Point("one office has masked", lambda: _rehearsal(), "mask", after=True),
    Point("all offices have masked", lambda: _rehearsal(), "mask", after=True, nth=OFFICES),
    Point("one offer made", lambda: _rehearsal(), "make_offer", after=True),
    Point("all offers made", lambda: _rehearsal(), "make_offer", after=True, nth=OFFICES),
    Point("drafted", lambda: _rehearsal(), "draft_agreement", after=True),
    Point("one office has signed", lambda: _rehearsal(), "sign_agreement", after=True),
    Point("all offices have signed", lambda: _rehearsal(), "sign_agreement", after=True, nth=OFFICES),
    Point("in the middle of the agreement's file", lambda: Path, "replace", counts=named("agreement")),
    Point("agreement written", lambda: _rehearsal(), "write_atomically", after=True),
    Point("one office started", lambda: _started(), "start", after=True),
    Point("two offices started", lambda: _started(), "start", after=True, nth=2),
    Point("all offices started", lambda: _started(), "start", after=True, nth=OFFICES),
    Point("a step is complete", lambda: _started(), "wait_for_step", after=True),
    Point("one office has ended", lambda: _started(), "wait", after=True),
    Point("all offices have ended", lambda: _started(), "wait", after=True, nth=OFFICES),
    Point("before the models are compared", lambda: _rehearsal(), "summarize_rehearsal"),
    Point("models compared", lambda: _rehearsal(), "summarize_rehearsal", after=True),
)  # fmt: skip


class Forked:
    """An office of a rehearsal: a fork of this process instead of a new one, with the key of its index."""

    started = 0

    def __init__(self, command: list[str], **_: Any) -> None:
        self.pid = Forked.start(command)

    @staticmethod
    def start(command: list[str]) -> int:
        Forked.started += 1
        child = os.fork()
        if child == 0:
            # What is planted in the submitter is none of the offices' business.
            call_command([*command[3:], "--patience", str(PATIENCE)], Forked.started - 1, None)
        return child

    def wait(self) -> int:
        Forked.wait_for_step(self.pid)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @staticmethod
    def wait_for_step(pid: int) -> None:
        """Return when an office has completed a step, or has ended."""
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            if list(_Submitted.folder.glob("office-*/protected/joint/*/000001.evidence")):
                return
            time.sleep(0.05)


class _Submitted:
    folder: Path


def try_submitter(root: Path, name: str, point: Point | None, reference: dict[str, bytes] | None) -> Case:
    """Kill a rehearsal at a point, give it again, and compare."""
    config, records = write_inputs(root)
    folder = root / name
    stage = Stage(folder, folder / "agreement.json", config)
    first = _rehearse(folder, records, config, root / "stderr", point)
    answers = [first]
    if point is not None:
        answers.append(_rehearse(folder, records, config, root / "stderr", None))
        _wait_for_orphans()
        if answers[-1][0] != 0:
            answers.append(_rehearse(folder, records, config, root / "stderr", None))
    _wait_for_orphans()
    ended = answers[-1][0] == 0
    weights = read_weights(stage, folder) if ended else []
    return Case(
        happened=point is None or first[0] == -signal.SIGKILL,
        one_line=all(_are_lines(code, error) for code, error in answers[1:]),
        goes_on=ended,
        same_bits=ended and all(one == (reference or weights[0]) for one in weights),
        charged_once=ended and all(is_charged_once(stage, office) for office in stage.offices(folder)),
        told=tuple(error.strip() for code, error in answers if code != 0),
        weights=weights[0] if ended else {},
    )


def _rehearse(folder: Path, records: Path, config: Path, error: Path, point: Point | None) -> tuple[int, str]:
    child = os.fork()
    if child == 0:
        from lexveil.flows.commands import join

        sys.stderr = error.open("w")
        Forked.started, _Submitted.folder = 0, folder
        setattr(join, "subprocess", SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL))  # noqa: B010
        words = ["join", "rehearse", str(records), "-w", str(folder), "--config", str(config)]
        call_command([*words, "--offices", str(OFFICES)], OFFICES, point)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, error.read_text()


def _wait_for_orphans() -> None:
    """Wait for the offices that a killed rehearsal has left; they are this process's now."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def _are_lines(code: int, error: str) -> bool:
    """Each office that could not go on said so in one line."""
    lines = [line for line in error.splitlines() if " WARNING " not in line]
    return code == 0 or (code in (1, 2) and all(line.startswith("error: ") for line in lines))


def measure_submitter(points: Iterable[Point]) -> dict[str, Case]:
    """Kill a rehearsal at points; return what became of each."""
    import torch

    torch.set_num_threads(1)
    adopt = 36  # PR_SET_CHILD_SUBREAPER
    if ctypes.CDLL(None).prctl(adopt, 1, 0, 0, 0):
        raise SystemExit("this kernel does not hand over the processes of a killed one")
    # One key in all cases: it decides who is held out.
    os.environ["LEXVEIL_MASTER_KEY"] = "5" * 64
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        calm = try_submitter(root, "calm", None, None)
        if not calm.goes_on:
            raise SystemExit(f"the rehearsal without a kill has failed: {calm.told}")
        return {
            point.name: try_submitter(root, f"case-{number}", point, calm.weights)
            for number, point in enumerate(points)
        }


def measure(arguments: argparse.Namespace) -> Outcome:
    return summarize(
        measure_submitter(point for point in POINTS if not arguments.only or point.name in arguments.only)
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", metavar="POINT", help="names of points; default: all")


if __name__ == "__main__":
    run(__doc__, measure, options)
