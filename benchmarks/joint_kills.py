"""Kill who takes part in a joint training of three offices at many moments, let all go on, and compare.

    python -m benchmarks.joint_kills [--who office hub] [--only POINT ...]

Each case begins with a copy of three workspaces that have signed. Three real processes, forked from one that
has loaded the libraries, run `lexveil join train`; one of them kills itself by SIGKILL at the named point (at
a message, in the middle of a file, between two entries). Then all three give the command again. Each office's
noise comes from a key that is the same in every case, so that all weights must equal, bit for bit, those of a
run without a kill. At some points the disk is full instead: no file grows any more. `charged_once`: each
ledger has one run, committed with all its steps, and is intact. `one_line`: whoever stopped without being
killed said so in one line, with exit code 1. The office that is killed is another one from case to case.

`hub` kills the hub of a training with protection he. `benchmarks.joint_submitter` kills who has started all.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract import Figure, Outcome, run
from fixtures.offices import write_records, write_settings

if TYPE_CHECKING:
    from lexveil.pipeline.joint.agreement import Protection

OFFICES, STEPS = 3, 6
HUB = OFFICES  # its index
PATIENCE = 20
# Messages to two offices: the agreement's signatures, the number of steps, the records; then three a step.
_BEFORE_STEPS, _A_STEP = 6, 6


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """From now on no file of this process grows beyond 4 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


@dataclass(frozen=True)
class Point:
    """A moment: before or after the n-th call of a function for which `counts` says that it counts."""

    name: str
    owner: Callable[[], Any]
    function: str
    after: bool = False
    nth: int = 1
    counts: Callable[..., bool] = lambda *_: True
    happens: Callable[[], None] = die

    def plant(self) -> None:
        """Let it happen in this process at that moment."""
        owner = self.owner()
        original, seen = getattr(owner, self.function), [0]

        def call(*arguments: Any, **named: Any) -> Any:
            counted = self.counts(*arguments)
            seen[0] += counted
            now = counted and seen[0] == self.nth
            if now and not self.after:
                self.happens()
            result = original(*arguments, **named)
            if now and self.after:
                self.happens()
            return result

        setattr(owner, self.function, call)


def _office() -> Any:
    from lexveil.pipeline.joint import office

    return office


def _mesh() -> Any:
    from lexveil.privacy.joint.mesh import Mesh

    return Mesh


def _journal() -> Any:
    from lexveil.privacy.joint.journal import Journal

    return Journal


def _hub() -> Any:
    from lexveil.pipeline.joint import hub

    return hub


def _scheme() -> Any:
    from lexveil.privacy.he.sums import SumScheme

    return SumScheme


def _norms() -> Any:
    from lexveil.privacy.joint.secret_sharing import NormCheck

    return NormCheck


def _ledger() -> Any:
    from lexveil.privacy.dp.ledger.ledger import Ledger

    return Ledger


def _message(step: int, exchange: int, office: int) -> dict[str, Any]:
    """After a message of a step (0: shares, 1: shares of the sum, 2: lists) to the first or second other."""
    nth = _BEFORE_STEPS + _A_STEP * step + 2 * exchange + office + 1
    return {"after": True, "nth": nth, "counts": lambda _mesh, _office, kind, *_: kind == b"m"}


def _sends(step: int, exchange: int) -> int:
    """Messages of the hub before an exchange of a step; what all are told takes two exchanges of three."""
    return OFFICES * (6 + 4 * step + exchange)


def _of(step: int) -> Callable[..., bool]:
    return lambda _journal, at, _content: at == step


def named(part: str) -> Callable[..., bool]:
    return lambda path, _: part in path.name


POINTS = (
    Point("connected", lambda: _mesh(), "__enter__", after=True),
    Point("one signature sent", lambda: _mesh(), "_send", after=True),
    Point("before the charge", lambda: _office(), "reserve"),
    Point("in the ledger, not in the log", lambda: _ledger(), "reserve", after=True),
    Point("charged", lambda: _office(), "reserve", after=True),
    Point("secret computation connected", lambda: _office(), "build_summing", after=True),
    Point("caught up", lambda: _office(), "catch_up", after=True),
    Point("before the upload is written", lambda: _journal(), "keep_upload", counts=_of(2)),
    Point("in the middle of the upload", lambda: Path, "replace", counts=named("upload"), nth=3),
    Point("upload written", lambda: _journal(), "keep_upload", after=True, counts=_of(2)),
    Point("one share sent", lambda: _mesh(), "_send", **_message(2, 0, 0)),
    Point("shares sent", lambda: _mesh(), "_send", **_message(2, 0, 1)),
    Point("in the comparison of norms", lambda: _mesh(), "write_stream", nth=60),
    Point("norms compared", lambda: _norms(), "are_within", after=True, nth=3),
    Point("one share of the sum sent", lambda: _mesh(), "_send", **_message(2, 1, 0)),
    Point("sum opened", lambda: _mesh(), "_send", **_message(2, 1, 1)),
    Point("one list sent", lambda: _mesh(), "_send", **_message(2, 2, 0)),
    Point("before the step is kept", lambda: _journal(), "keep", counts=_of(2)),
    Point("in the middle of the step's file", lambda: Path, "replace", counts=named("evidence"), nth=3),
    Point("step kept", lambda: _journal(), "keep", after=True, counts=_of(2)),
    Point("one list of the last step sent", lambda: _mesh(), "_send", **_message(STEPS - 1, 2, 0)),
    Point("before the last step is kept", lambda: _journal(), "keep", counts=_of(STEPS - 1)),
    Point("last step kept", lambda: _journal(), "keep", after=True, counts=_of(STEPS - 1)),
    Point("one told that all is complete", lambda: _mesh(), "_send", **_message(STEPS, 0, 0)),
    Point("all told that all is complete", lambda: _office(), "compare_records", after=True),
    Point("before the model is saved", lambda: _office(), "save_model"),
    Point("model saved", lambda: _office(), "save_model", after=True),
    Point("committed", lambda: _ledger(), "commit", after=True),
    Point("upload deleted", lambda: _journal(), "discard_upload", after=True),
    Point("disk full at an upload", lambda: _journal(), "keep_upload", counts=_of(2), happens=fill_disk),
    Point("disk full at a step", lambda: _journal(), "keep", counts=_of(2), happens=fill_disk),
    Point("disk full at the model", lambda: _office(), "save_model", happens=fill_disk),
)  # fmt: skip


HUB_POINTS = (
    Point("connected", lambda: _mesh(), "__enter__", after=True),
    Point("one signature handed on", lambda: _mesh(), "_send", after=True, nth=OFFICES + 1),
    Point("caught up", lambda: _hub(), "catch_up", after=True),
    Point("before it adds", lambda: _scheme(), "add", nth=3),
    Point("added", lambda: _scheme(), "add", after=True, nth=3),
    Point("one sum handed out", lambda: _mesh(), "_send", after=True, nth=_sends(2, 1) + 1),
    Point("two sums handed out", lambda: _mesh(), "_send", after=True, nth=_sends(2, 1) + 2),
    Point("all sums handed out", lambda: _mesh(), "_send", after=True, nth=_sends(2, 2)),
    Point("one list handed on", lambda: _mesh(), "_send", after=True, nth=_sends(2, 3) + 1),
    Point("before the step is kept", lambda: _journal(), "keep", counts=_of(2)),
    Point("in the middle of the step's file", lambda: Path, "replace", counts=named("evidence"), nth=3),
    Point("step kept", lambda: _journal(), "keep", after=True, counts=_of(2)),
    Point("a list of the last step sent", lambda: _mesh(), "_send", after=True, nth=_sends(STEPS, 0) - 2),
    Point("before the last step is kept", lambda: _journal(), "keep", counts=_of(STEPS - 1)),
    Point("last step kept", lambda: _journal(), "keep", after=True, counts=_of(STEPS - 1)),
    Point("one told that all is complete", lambda: _mesh(), "_send", after=True, nth=_sends(STEPS, 1) + 1),
    Point("all told that all is complete", lambda: _hub(), "compare_records", after=True),
    Point("disk full at a step", lambda: _journal(), "keep", counts=_of(2), happens=fill_disk),
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Three workspaces that have signed, and that of a hub."""

    folder: Path
    agreement: Path
    config: Path
    hub: bool = False

    def offices(self, folder: Path) -> list[Path]:
        return [folder / f"office-{index + 1}" for index in range(OFFICES)]

    def parties(self, folder: Path) -> list[Path]:
        return [*self.offices(folder), *([folder / "hub"] if self.hub else [])]


def prepare(folder: Path, protection: Protection = "sum") -> Stage:
    """Deal out synthetic records to three offices that sign an agreement."""
    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command does
    from lexveil.pipeline.joint.rehearsal import prepare_rehearsal
    from lexveil.pipeline.settings import load_settings

    config, records = write_inputs(folder)
    signed = folder / "signed"
    agreement, _ = prepare_rehearsal(
        records, signed, load_settings(config), OFFICES, protection, int(protection == "sum")
    )
    return Stage(signed, agreement, config, protection == "he")


def write_inputs(folder: Path) -> tuple[Path, Path]:
    config, records = folder / "lexveil.toml", folder / "records.jsonl"
    write_settings(config, STEPS)
    write_records(records)
    return config, records


def train_all(stage: Stage, folder: Path, killed: int | None = None, point: Point | None = None) -> list[Any]:
    """Fork all who take part; return for each its exit code and what it wrote to stderr."""
    children: list[int] = []
    parties = stage.parties(folder)
    errors = [folder / f"stderr-{index}" for index in range(len(parties))]
    for index, party in enumerate(parties):
        child = os.fork()
        if child == 0:
            sys.stderr = errors[index].open("w")
            part = "hub" if index == HUB else "train"
            words = ["join", part, str(stage.agreement), "-w", str(party), "--config", str(stage.config)]
            call_command([*words, "--patience", str(PATIENCE)], index, point if index == killed else None)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return [(code, error.read_text()) for code, error in zip(codes, errors, strict=True)]


def call_command(words: list[str], index: int, point: Point | None) -> None:
    """Run a command in this process, with the key of an office, and end the process."""
    code = 70
    try:
        from lexveil.flows import cli
        from lexveil.pipeline.training import reservations

        secret = reservations.RunSecret(hashlib.sha256(b"office %d" % index).digest(), 2048, "cpu")
        reservations.RunSecret.draw = lambda _train: secret  # type: ignore[method-assign, assignment]
        if point is not None:
            point.plant()
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
            cli.main([*words, "--json"])
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def read_weights(stage: Stage, folder: Path) -> list[dict[str, bytes]]:
    """Return each office's weights, by name."""
    from safetensors.numpy import load_file

    found: list[dict[str, bytes]] = []
    for office in stage.offices(folder):
        (path,) = (office / "models").glob("*/model.safetensors")
        found.append({name: values.tobytes() for name, values in load_file(path).items()})
    return found


def is_charged_once(stage: Stage, office: Path) -> bool:
    """Return True if an office's ledger has one run, committed in full, and is intact."""
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.workspace.workspace import Workspace

    ledger = Workspace.open(office, load_settings(stage.config)).ledger
    try:
        runs = [run for account in ledger.read().accounts() for run in account.reservations]
        return [(r.state, r.charged_steps) for r in runs] == [("committed", STEPS)] and ledger.verify().ok
    finally:
        ledger.close()


@dataclass(frozen=True)
class Case:
    """What became of one kill."""

    happened: bool
    one_line: bool
    goes_on: bool
    same_bits: bool
    charged_once: bool
    told: tuple[str, ...]
    weights: dict[str, bytes] = field(default_factory=dict, repr=False)


def try_point(stage: Stage, folder: Path, point: Point, killed: int, reference: dict[str, bytes]) -> Case:
    """Kill an office at a point, give all commands again, and compare."""
    shutil.copytree(stage.folder, folder, symlinks=True)
    first = train_all(stage, folder, killed, point)
    second = train_all(stage, folder)
    others = [answer for index, answer in enumerate(first) if index != killed]
    full = point.happens is fill_disk
    ended = all(code == 0 for code, _ in second)
    return Case(
        happened="disk is full" in first[killed][1] if full else first[killed][0] == -signal.SIGKILL,
        one_line=all(_is_one_line(code, error) for code, error in (first if full else others)),
        goes_on=ended,
        same_bits=ended and all(one == reference for one in read_weights(stage, folder)),
        charged_once=all(is_charged_once(stage, office) for office in stage.offices(folder)),
        told=tuple(error.strip() for code, error in (*first, *second) if code != 0),
    )


def _is_one_line(code: int, error: str) -> bool:
    lines = [line for line in error.splitlines() if " WARNING " not in line]
    return code == 0 or (code == 1 and len(lines) == 1 and lines[0].startswith("error: "))


def measure_points(points: Iterable[Point], protection: Protection = "sum") -> tuple[dict[str, Case], int]:
    """Try points; return what became of each."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        stage = prepare(root, protection)
        calm = root / "calm"
        shutil.copytree(stage.folder, calm, symlinks=True)
        answers = train_all(stage, calm)
        if any(code for code, _ in answers):
            raise SystemExit(f"the run without a kill has failed: {answers}")
        reference = read_weights(stage, calm)[0]
        found: dict[str, Case] = {}
        for number, point in enumerate(points):
            killed = HUB if stage.hub else number % OFFICES
            found[point.name] = try_point(stage, root / f"case-{number}", point, killed, reference)
            shutil.rmtree(root / f"case-{number}")
        return found, len(reference)


def measure(arguments: argparse.Namespace) -> Outcome:
    def choose(points: Iterable[Point]) -> list[Point]:
        return [point for point in points if not arguments.only or point.name in arguments.only]

    found: dict[str, Case] = {}
    if "office" in arguments.who:
        found |= measure_points(choose(POINTS))[0]
    if "hub" in arguments.who:
        cases, _ = measure_points(choose(HUB_POINTS), "he")
        found |= {f"hub: {name}": case for name, case in cases.items()}
    return summarize(found)


def summarize(found: Mapping[str, Case]) -> Outcome:
    count = len(found)
    names = ("happened", "one_line", "goes_on", "same_bits", "charged_once")
    figures = {
        name: Figure(sum(getattr(case, name) for case in found.values()), count, "points", "higher")
        for name in names
    }
    details = {
        name: {key: getattr(case, key) for key in names if not getattr(case, key)} | {"told": case.told}
        for name, case in found.items()
        if not all(getattr(case, key) for key in names)
    }
    return Outcome(figures, {"points": count, "offices": OFFICES, "steps": STEPS}, [5], details)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--who", nargs="+", choices=["office", "hub"], default=["office"])
    parser.add_argument("--only", nargs="+", metavar="POINT", help="names of points; default: all")


if __name__ == "__main__":
    run(__doc__, measure, options)
