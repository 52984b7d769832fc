"""Promise: a run killed anywhere is never under-counted, and started again it spends and gives the same.

Run as a script, this file is the process that is killed: it forks a child for each point, so that the
heavy imports are paid once, and the child kills itself after a given number of executed lines and returns.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[2]
POINTS = 24
DELTA, LIMIT = 1e-5, 4.0


def run(folder: Path) -> None:
    """A training run as a stage does it: reserve, train, store, commit; every step may be a repetition."""
    import torch
    from torch import nn
    from torch.nn import functional

    from lexveil.privacy.dp.batches import TensorOwners
    from lexveil.privacy.dp.checkpoint import Checkpoint
    from lexveil.privacy.dp.engine import TrainingPlan, train
    from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population
    from lexveil.privacy.dp.randomness import SecureRandom

    people = Population("toy", unit="owner")
    plan = TrainingPlan(3.0, 1.0, 0.5, 4, learning_rate=0.5)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.set_limit(people, LIMIT, DELTA)
    charge = Charge(plan.noise_multiplier, plan.sample_rate, plan.steps)
    # Each attempt brings a key of its own (a vault would wrap it); the first one reserved must win.
    attempts = folder / "attempts"
    attempt = len(attempts.read_text()) if attempts.exists() else 0
    attempts.write_text("." * (attempt + 1))
    reservation = ledger.reserve(people, charge, "digest of the inputs", bytes([attempt]) * 32)
    if reservation.state == "committed":
        return
    assert reservation.secret is not None
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(12, 4, generator=generator), torch.arange(12) % 2
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none")

    data = TensorOwners(inputs, labels, torch.arange(12) // 2, 6)
    random = SecureRandom(reservation.secret)
    checkpoint = Checkpoint(folder / "checkpoint", "digest of the inputs", every_seconds=0)
    # What a run may have let out before it died; a replay must let out the same.
    with (folder / "seen.jsonl").open("a") as seen:
        train(
            model,
            data,
            losses,
            plan,
            random,
            on_step=lambda step: print(json.dumps([step, model.weight.tolist()]), file=seen, flush=True),
            checkpoint=checkpoint,
        )
    partial = folder / "model.partial"
    partial.write_text(json.dumps(model.weight.tolist()))
    partial.rename(folder / "model.json")
    ledger.commit(reservation.id, plan.steps)
    checkpoint.discard()


def killed_after(lines: int, folder: Path) -> int:
    """Run in a forked child that kills itself after so many lines of ours; 0: never. Returns the exit code,
    or, where `lines` is negative, the number of lines of a whole run."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            count = 0

            def trace(frame, event, _argument):
                nonlocal count
                if "/privacy/dp/" not in frame.f_code.co_filename and frame.f_code.co_filename != __file__:
                    return None
                if event in ("line", "return"):
                    count += 1
                    if count == lines:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace

            sys.settrace(trace)
            run(folder)
            sys.settrace(None)
            os.write(writer, str(count).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as result:
        counted = result.read()
    return int(counted) if lines < 0 else os.waitstatus_to_exitcode(status)


def state(folder: Path) -> dict:
    from lexveil.privacy.dp.ledger.ledger import Ledger, Population

    people = Population("toy", unit="owner")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    verification = ledger.verify()
    seen = folder / "seen.jsonl"
    return {
        "spent": ledger.spent_epsilon(people, DELTA),
        "ok": verification.ok,
        "entries": [e.kind for e in ledger.entries()],
        "seen": sorted(set(seen.read_text().splitlines())) if seen.exists() else [],
        "model": (folder / "model.json").read_text() if (folder / "model.json").exists() else None,
    }


def schedule(root: Path) -> dict:
    """An undisturbed run, then one killed at each point and started again until it is through."""
    import lexveil.privacy.dp.engine
    import lexveil.privacy.dp.ledger.ledger  # noqa: F401

    for name in ("warm", "undisturbed"):
        # The first run, looked at, fills caches that the forked ones inherit; the second is counted.
        undisturbed = root / name
        undisturbed.mkdir()
        lines = killed_after(-1, undisturbed)
        state(undisturbed)
    cases = []
    for point in range(POINTS):
        folder = root / str(point)
        folder.mkdir()
        at = 1 + (lines - 1) * point // (POINTS - 1)
        code = killed_after(at, folder)
        first = state(folder)["entries"][-1:] not in ([], ["limit"])
        # Every third dies a second time, at another place.
        if point % 3 == 2:
            killed_after(1 + lines // 2, folder)
        crashed = state(folder)
        again = killed_after(0, folder)
        case = {"at": at, "code": code, "first": first, "crashed": crashed}
        cases.append(case | {"again": again, "ended": state(folder)})
    return {"undisturbed": state(undisturbed), "cases": cases}


def race(root: Path, worker: int) -> dict:
    """Reserve as much as there is, while another process does the same."""
    from lexveil.privacy.dp.ledger.admission import BudgetExceededError
    from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population

    people = Population("toy", unit="owner")
    ledger = Ledger(f"sqlite:///{root / 'ledger.db'}")
    ledger.set_limit(people, LIMIT, DELTA)
    shared = ledger.reserve(people, Charge(12.0, 0.2, 50), "shared", b"%d" % worker)
    admitted = refused = 0
    for number in range(12):
        try:
            ledger.reserve(people, Charge(6.0, 0.2, 50), f"{worker} {number}", b"secret")
            admitted += 1
        except BudgetExceededError:
            refused += 1
    return {
        "shared": shared.id,
        "secret": (shared.secret or b"").decode(),
        "admitted": admitted,
        "refused": refused,
    }


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def result(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=HANGS_AFTER)
    assert process.returncode == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> dict:
    return result(start("schedule", str(tmp_path_factory.mktemp("crash"))))


def test_runs_are_killed_at_many_different_points(killed):
    assert len({case["at"] for case in killed["cases"]}) == POINTS > 20
    assert all(case["code"] == -signal.SIGKILL for case in killed["cases"])
    # Before the reservation, between it and the commit, and after.
    histories = {tuple(case["crashed"]["entries"]) for case in killed["cases"]}
    assert {(), ("limit", "reserve"), ("limit", "reserve", "commit")} <= histories


def test_whatever_was_let_out_is_charged_in_full(killed):
    full = killed["undisturbed"]["spent"]
    assert full > 0
    for case in killed["cases"]:
        crashed = case["crashed"]
        assert crashed["ok"]
        if "reserve" in crashed["entries"]:
            assert crashed["spent"] == full
        else:
            assert not crashed["seen"]
            assert not crashed["model"]


def test_started_again_it_spends_the_same_and_gives_the_same(killed):
    undisturbed = killed["undisturbed"]
    for case in killed["cases"]:
        assert case["again"] == 0
        ended = case["ended"]
        assert ended["ok"]
        assert ended["model"]
        if case["first"]:
            assert ended["model"] == undisturbed["model"]
        assert ended["entries"] == ["limit", "reserve", "commit"]
        assert ended["spent"] == undisturbed["spent"]
        # Each step was seen once or more, and always with the same weights.
        assert [json.loads(line)[0] for line in ended["seen"]] == [0, 1, 2, 3]
        if case["first"]:
            assert ended["seen"] == undisturbed["seen"]


def test_two_processes_never_pass_the_limit(tmp_path):
    workers = [start("race", str(tmp_path), str(number)) for number in range(2)]
    results = [result(worker) for worker in workers]
    from lexveil.privacy.dp.ledger.admission import BudgetExceededError
    from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population

    people = Population("toy", unit="owner")
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert ledger.spent_epsilon(people, DELTA) <= LIMIT
    assert ledger.verify().ok
    with pytest.raises(BudgetExceededError):
        ledger.reserve(people, Charge(6.0, 0.2, 50), "one more", b"secret")
    # The same key in both is one reservation with one secret.
    assert len({r["shared"] for r in results}) == len({r["secret"] for r in results}) == 1
    reserved = [e for e in ledger.entries() if e.kind == "reserve"]
    assert len(reserved) == 1 + sum(r["admitted"] for r in results) > 2
    assert sum(r["refused"] for r in results) > 0
    assert [e.kind for e in ledger.entries()].count("limit") == 1


if __name__ == "__main__":
    mode, root, *rest = sys.argv[1:]
    found = schedule(Path(root)) if mode == "schedule" else race(Path(root), int(rest[0]))
    print(json.dumps(found))
