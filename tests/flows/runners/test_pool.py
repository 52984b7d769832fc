"""Worker processes: gone with their parent, replaced when they die, silent about what they choked on."""

from __future__ import annotations

import functools
import gc
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing import popen_spawn_posix
from pathlib import Path
from typing import Any

import pytest

from lexveil.flows.cli import main
from lexveil.flows.environment import GARBAGE_THRESHOLDS
from lexveil.flows.runners.pool import (
    PoolClosedError,
    WorkerPool,
    default_workers,
    describe_death,
    with_progress,
)
from lexveil.pipeline.errors import SourceError, StageError
from lexveil.pipeline.records import Shard, ShardResult, run_one_by_one
from tests.deadlines import wait_until

CANARY = "Canary Wharfinger"
SHARDS = [Shard(index, f"key{index}") for index in range(5)]
HERE = Path(__file__).resolve().parent


# What workers do. They import this file by its path, since tests/ is no package.
def double(shard: Shard) -> ShardResult:
    return ShardResult(shard.index, shard.key, shard.index * 2, str(os.getpid()), {})


def read_thresholds(number: int) -> tuple[int, int, int]:
    del number
    return gc.get_threshold()


def double_slowly(shard: Shard) -> ShardResult:
    time.sleep(1)
    return double(shard)


def die_once(folder: Path, shard: Shard) -> ShardResult:
    flag = folder / f"died-{shard.index}"
    if shard.index == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return double(shard)


def die(shard: Shard) -> ShardResult:
    os.kill(os.getpid(), signal.SIGKILL)
    return double(shard)


def choke(shard: Shard) -> ShardResult:
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        raise ValueError(f"{CANARY} {shard.index}") from error


def refuse(shard: Shard) -> ShardResult:
    raise SourceError(f"shard {shard.index}")


def never_ends(shard: Shard) -> ShardResult:
    re.match(r"(a+)+$", "a" * 60 + "b")  # holds Python's lock for years
    return double(shard)


def double_number(number: int) -> int:
    return 2 * number


def die_over_two(folder: Path, number: int) -> int:
    if number == 2 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def choke_on(number: int) -> int:
    raise ValueError(f"{CANARY} {number}")


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Workers unpickle the functions above by module name, and take over this process' `sys.path`."""
    before = list(sys.path)
    sys.path.insert(0, str(HERE))
    sys.modules["test_pool"] = sys.modules[__name__]
    for function in (
        *(double, die_once, die, choke, refuse, never_ends),
        *(double_number, die_over_two, choke_on),
    ):
        function.__module__ = "test_pool"
    yield
    sys.path[:] = before
    del sys.modules["test_pool"]


@pytest.fixture(scope="module")
def pool(importable: None) -> Iterator[WorkerPool]:
    with WorkerPool(2) as made:
        yield made


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(vars(error))


def test_every_shard_is_carried_out_elsewhere(pool: WorkerPool) -> None:
    found = sorted(pool.each("stage", double, SHARDS), key=lambda result: result.index)
    assert [result.rows for result in found] == [0, 2, 4, 6, 8]
    assert str(os.getpid()) not in {result.digest for result in found}
    assert pool.run("stage", double, SHARDS[3]).rows == 6


def test_a_worker_and_a_command_collect_garbage_less_often_than_python(pool: WorkerPool) -> None:
    usual = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert gc.get_threshold() == GARBAGE_THRESHOLDS
    finally:
        gc.set_threshold(*usual)
    assert list(pool.ordered(read_thresholds, [0])) == [GARBAGE_THRESHOLDS]


def test_ordered_keeps_the_order(pool: WorkerPool) -> None:
    assert list(pool.ordered(double_number, range(20))) == [2 * n for n in range(20)]


def test_ordered_takes_no_more_than_it_needs(pool: WorkerPool) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = pool.ordered(double_number, items())
    assert next(results) == 0
    assert len(taken) < 10
    results.close()  # type: ignore[attr-defined]


def test_what_a_worker_choked_on_stays_there(pool: WorkerPool) -> None:
    attempts: list[Any] = [
        lambda: list(pool.each("stage", choke, SHARDS[:1])),
        lambda: pool.run("stage", choke, SHARDS[0]),
        lambda: list(pool.ordered(choke_on, [1])),
    ]
    for attempt in attempts:
        with pytest.raises(StageError) as caught:
            attempt()
        assert "ValueError" in str(caught.value)
        assert CANARY not in text_of(caught.value)


def test_our_own_errors_cross_as_they_are(pool: WorkerPool) -> None:
    with pytest.raises(SourceError, match="shard 0"):
        pool.run("stage", refuse, SHARDS[0])


def test_a_dead_worker_is_replaced_and_its_shard_tried_again(pool: WorkerPool, tmp_path: Path) -> None:
    work = functools.partial(die_once, tmp_path)
    found = sorted(pool.each("stage", work, SHARDS), key=lambda result: result.index)
    assert [result.rows for result in found] == [0, 2, 4, 6, 8]
    assert (tmp_path / "died-1").exists()


def test_ordered_survives_a_dead_worker_too(pool: WorkerPool, tmp_path: Path) -> None:
    assert list(pool.ordered(functools.partial(die_over_two, tmp_path), range(6))) == [0, 2, 4, 6, 8, 10]


def test_a_worker_that_dies_while_another_one_starts_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    # The executor breaks after `submit` has looked at it: it closes the pipe of new workers.
    with WorkerPool(2) as pool:  # a new one, so that it has one worker and starts the second
        victim = int(pool.run("stage", double, SHARDS[0]).digest)
        executor: Any = pool._executor  # pyright: ignore[reportPrivateUsage]
        spawn: Any = popen_spawn_posix.Popen
        launch = spawn._launch

        def launch_after_a_death(self: Any, process: Any) -> None:
            monkeypatch.undo()
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: executor._executor_manager_thread.call_queue._reader.closed)
            launch(self, process)

        monkeypatch.setattr(spawn, "_launch", launch_after_a_death)
        assert sorted(result.rows for result in pool.each("stage", double_slowly, SHARDS[:2])) == [0, 2]
        assert spawn._launch is launch, "no worker was started while another one died"


def test_what_kills_every_worker_is_given_up(pool: WorkerPool) -> None:
    with pytest.raises(StageError, match="died twice over shard 2"):
        pool.run("stage", die, SHARDS[2])
    with pytest.raises(StageError, match="died twice"):
        list(pool.each("stage", die, SHARDS[:2]))
    with pytest.raises(StageError, match="died twice"):
        list(pool.ordered(die, SHARDS[:2]))
    assert pool.run("stage", double, SHARDS[2]).rows == 4


def test_a_shard_past_its_time_ends_its_worker(importable: None) -> None:
    with WorkerPool(1, seconds=1) as pool:
        assert pool.run("stage", double, SHARDS[1]).rows == 2
        with pytest.raises(StageError, match="time limit"):
            pool.run("stage", never_ends, SHARDS[2])


def test_a_closed_pool_starts_no_worker(importable: None) -> None:
    with WorkerPool(1) as pool:
        pass
    with pytest.raises(PoolClosedError):
        pool.run("stage", double, SHARDS[0])


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int] | tuple[str, int, int, int]] = []

    def note(*about: Any, **named: Any) -> None:
        assert not named
        told.append(about)

    each = with_progress(run_one_by_one, note)
    assert len(list(each("mask", double, SHARDS[:2]))) == 2
    rows = [double(shard).rows for shard in SHARDS[:2]]
    assert told == [("mask", 0, 2), ("mask", 1, 2, rows[0]), ("mask", 2, 2, sum(rows))]
    assert with_progress(run_one_by_one, None) is run_one_by_one


@pytest.mark.parametrize(("item", "named"), [(SHARDS[3], "shard 3"), ("some text", "the same records")])
def test_an_error_names_a_shard_and_no_content(item: Any, named: str) -> None:
    error = describe_death("mask", item)
    assert str(error).startswith(f"mask: a worker process died twice over {named}, ")
    assert "some text" not in str(error)


def test_as_many_workers_as_cores_and_no_more_than_four() -> None:
    assert 1 <= default_workers() <= 4
    assert WorkerPool().workers == default_workers()


PARENT = """
import sys, time
from test_pool import wait
from lexveil.flows.runners.pool import WorkerPool
from lexveil.pipeline.records import Shard
if __name__ == "__main__":
    with WorkerPool(2) as pool:
        list(pool.each("stage", wait, [Shard(0, "a"), Shard(1, "b")]))
"""


def wait(shard: Shard) -> ShardResult:
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    time.sleep(120)
    return double(shard)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[2]}"},
    )
    try:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(alive(worker) for worker in workers)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(alive(worker) for worker in workers))  # 0.2 s on a quiet machine


ELSEWHERE = """
import os
from test_pool import double
from lexveil.flows.runners.pool import WorkerPool
from lexveil.pipeline.records import Shard
if __name__ == "__main__":
    with WorkerPool(1) as pool:
        print(*(result.index for result in pool.each("stage", double, [Shard(3, "a")])))
    print(os.environ["PYTHONSAFEPATH"])
"""


def test_workers_run_no_code_of_the_working_folder(tmp_path: Path) -> None:
    """A file `pickle.py` there was run in the place of Python's own, before the worker did anything."""
    (tmp_path / "parent.py").write_text(ELSEWHERE)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("pickle", "socket", "struct", "json"):
        (folder / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit\n")
    found = subprocess.run(
        [sys.executable, tmp_path / "parent.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[2]}", "PYTHONSAFEPATH": ""},
        check=False,
    )
    assert (found.stdout, (folder / "ran").exists()) == (
        "3\n\n",
        False,
    )  # the parent's environment is left alone
