"""Workers die here by accident, by force and by their requests; who asks next must not notice."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.serving import bundles
from lexveil.pipeline.serving.server.evaluation import (
    BusyError,
    RequestKilledError,
    WorkerLimits,
    WorkersUnavailableError,
)
from lexveil.pipeline.serving.server.pool import EvaluationPool
from lexveil.pipeline.serving.server.worker import EvaluationRefusedError, WorkerFailedError

# An evaluator that does what a request says. Workers import it by name, hence a module of its own.
EVALUATORS = """
import json, os, resource, time
from pathlib import Path

class Told:
    max_keys_bytes = max_ciphertext_bytes = 1 << 20
    served = 0

    def load_keys(self, blob):
        return blob

    def evaluate(self, blob, keys):
        self.served += 1
        match blob:
            case b"crash": os.abort()
            case b"late crash" if self.served > 1: os.abort()
            case b"hang":
                while True: pass
            case b"memory": bytearray(1 << 34)
            case b"slow": time.sleep(0.5)
            case b"gate": self.wait()
            case b"burn" | b"gate and burn":
                if blob != b"burn": self.wait()
                end = time.process_time() + 0.06
                while time.process_time() < end: pass
            case b"disk": raise OSError(28, "no space left on device")
            case b"value": raise ValueError("what the caller sent")
            case b"environment": return json.dumps(dict(os.environ)).encode()
            case b"limits": return json.dumps(resource.getrlimit(resource.RLIMIT_AS)).encode()
        return keys + blob

    def wait(self):
        while not Path(__file__).with_name("gate").exists():
            time.sleep(0.01)

def evaluators():
    return {"block": Told()}

def broken():
    raise ValueError
"""
CHECK = {"evaluator": "block", "max_count": 1}


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "told_evaluators.py").write_text(EVALUATORS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", "secret")
    yield importlib.import_module("told_evaluators").evaluators
    del sys.modules["told_evaluators"]


@pytest.fixture
def head(tmp_path: Path) -> dict[str, Any]:
    keys = bundles.bundle([b"key "])
    (tmp_path / "keys").write_bytes(keys)
    digest = hashlib.sha256(keys).hexdigest()
    return {**CHECK, "session": "s", "keys": str(tmp_path / "keys"), "keys_sha256": digest}


def keys_folder(factory: Any) -> Path:
    """The folder of the test, in which its evaluators and its keys lie."""
    return Path(sys.modules[factory.__module__].__file__ or "").parent


def open_gate(factory: Any) -> None:
    """Let go on what waits at the gate: no test rests on how long a request takes."""
    (keys_folder(factory) / "gate").touch()


def with_pool(
    factory: Any, test: Callable[[EvaluationPool, list[None]], Awaitable[None]], **limits: Any
) -> None:
    async def run() -> None:
        deaths: list[None] = []
        pool = EvaluationPool(
            factory, WorkerLimits(**limits), lambda: deaths.append(None), keys_folder=keys_folder(factory)
        )
        await pool.start()
        try:
            await test(pool, deaths)
        finally:
            await pool.close()
        assert not any(Path(f"/proc/{process}").exists() for process in pool.process_ids())

    asyncio.run(run())


def asked(
    pool: EvaluationPool, head: dict[str, Any], *blobs: bytes, tenant: str = "a"
) -> Coroutine[Any, Any, bytes]:
    told = head if len(blobs) == 1 else {**head, "max_count": len(blobs)}
    return pool.answer(told, bundles.bundle(blobs), repr(blobs), tenant)


@pytest.mark.parametrize("killer", [b"crash", b"hang"])
def test_a_killer_is_refused_after_two_workers_and_kills_no_more(
    factory: Any, head: dict[str, Any], killer: bytes
) -> None:
    async def test(pool: EvaluationPool, deaths: list[None]) -> None:
        with pytest.raises(RequestKilledError) as caught:
            await asked(pool, head, killer)
        assert (caught.value.first, len(deaths)) == (True, 2)
        assert await asked(pool, head, b"honest") == bundles.bundle([b"key honest"])
        with pytest.raises(RequestKilledError) as caught:
            await asked(pool, head, killer)
        assert (caught.value.first, len(deaths)) == (False, 2)

    with_pool(factory, test, request_seconds=0.5)


def test_a_late_crash_is_not_blamed_on_the_request_that_meets_it(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, deaths: list[None]) -> None:
        await asked(pool, head, b"honest")
        assert await asked(pool, head, b"late crash") == bundles.bundle([b"key late crash"])
        assert len(deaths) == 1

    with_pool(factory, test)


def test_keys_in_memory_are_taken_for_no_others(factory: Any, head: dict[str, Any], tmp_path: Path) -> None:
    """A session whose file or digest is another than when its keys were loaded is not answered with them."""

    async def test(pool: EvaluationPool, _: list[None]) -> None:
        assert await asked(pool, head, b"a") == bundles.bundle([b"key a"])
        for change in ({"keys": str(tmp_path / "none")}, {"keys_sha256": "0" * 64}):
            with pytest.raises(EvaluationRefusedError, match="upload the evaluation keys again"):
                await asked(pool, {**head, **change}, b"a")
        assert await asked(pool, head, b"a") == bundles.bundle([b"key a"])

    with_pool(factory, test, spares=0)


def test_requests_outlive_workers_that_somebody_kills(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, deaths: list[None]) -> None:
        tasks = [asyncio.ensure_future(asked(pool, head, blob)) for blob in (b"slow", b"a", b"b")]
        await asyncio.sleep(0.1)
        for process in pool.process_ids():
            os.kill(process, signal.SIGKILL)
        answers = await asyncio.gather(*tasks)
        assert answers == [bundles.bundle([b"key " + blob]) for blob in (b"slow", b"a", b"b")]
        assert deaths
        assert pool.state().ready

    with_pool(factory, test)


def test_who_would_wait_too_long_is_sent_away(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, _: list[None]) -> None:
        tasks = [asyncio.ensure_future(asked(pool, head, b"gate")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as caught:
            await asked(pool, head, b"honest")
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1
        open_gate(factory)
        await asyncio.gather(*tasks)

    with_pool(factory, test, waiting=1)  # of the same tenant


async def finish_in_order(
    factory: Any, requests: dict[str, Coroutine[Any, Any, bytes]], opener: str | None = None
) -> list[str]:
    """Start requests one after the other, and return their names in the order of their answers.

    The gate opens when `opener` is answered; without one, when all have been started.
    """
    order: list[str] = []

    async def note(name: str, request: Coroutine[Any, Any, bytes]) -> None:
        await request
        order.append(name)
        if name == opener:
            open_gate(factory)

    tasks: list[asyncio.Task[None]] = []
    for name, request in requests.items():
        tasks.append(asyncio.create_task(note(name, request)))
        await asyncio.sleep(0)
    if opener is None:
        open_gate(factory)
    await asyncio.gather(*tasks)
    return order


def test_a_flood_of_one_tenant_holds_up_no_other(factory: Any, head: dict[str, Any]) -> None:
    """The last to come is served after one turn of the first, not after all that wait."""

    async def test(pool: EvaluationPool, _: list[None]) -> None:
        flood = {f"a{n}": asked(pool, head, b"gate and burn", b"burn", b"burn") for n in range(4)}
        order = await finish_in_order(factory, {**flood, "b": asked(pool, head, b"x", tenant="b")})
        assert order == ["b", "a0", "a1", "a2", "a3"]

    with_pool(factory, test, spares=0)


def test_one_long_turn_holds_up_no_other_tenant_while_there_is_a_spare(
    factory: Any, head: dict[str, Any]
) -> None:
    async def test(pool: EvaluationPool, _: list[None]) -> None:
        while pool.state().alive < 2:
            await asyncio.sleep(0.05)
        requests = {name: asked(pool, head, b"gate") for name in ("a0", "a1")}
        requests["b"] = asked(pool, head, b"x", tenant="b")
        order = await finish_in_order(factory, requests, opener="b")
        assert order == ["b", "a0", "a1"]

    with_pool(factory, test)


def test_a_full_queue_sends_away_whoever_fills_it(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, _: list[None]) -> None:
        flood = [asyncio.create_task(asked(pool, head, b"gate")) for _ in range(4)]
        await asyncio.sleep(0)
        other = asyncio.create_task(asked(pool, head, b"x", tenant="b"))
        await asyncio.sleep(0)
        open_gate(factory)
        assert await other == bundles.bundle([b"key x"])
        outcomes = await asyncio.gather(*flood, return_exceptions=True)
        assert [isinstance(outcome, BusyError) for outcome in outcomes] == [False, False, False, True]

    with_pool(factory, test, spares=0, waiting=3)


def test_time_is_cpu_time(factory: Any, head: dict[str, Any]) -> None:
    """On a busy machine an honest request may take longer than it computes."""
    spent: list[tuple[str, float]] = []

    async def test() -> None:
        limits = WorkerLimits(request_seconds=0.2)
        pool = EvaluationPool(
            factory, limits, on_cpu=lambda *cost: spent.append(cost), keys_folder=keys_folder(factory)
        )
        await pool.start()
        try:
            assert await asked(pool, head, b"slow") == bundles.bundle([b"key slow"])  # it waits 0.5 seconds
            await asked(pool, head, b"burn")
        finally:
            await pool.close()

    asyncio.run(test())
    assert [tenant for tenant, _ in spent] == ["a", "a"]
    assert spent[0][1] < 0.05 <= spent[1][1]


def test_workers_compute_at_the_same_time(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, _: list[None]) -> None:
        while pool.state().alive < 3:  # two, and a spare
            await asyncio.sleep(0.05)
        tasks = [asyncio.ensure_future(asked(pool, head, b"gate")) for _ in range(3)]
        await asyncio.sleep(0)
        assert (pool.state().busy, pool.state().waiting) == (2, 1)
        open_gate(factory)
        await asyncio.gather(*tasks)

    with_pool(factory, test, workers=2)


def test_a_worker_gets_limits_and_no_secret(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, _: list[None]) -> None:
        head_of_nothing = {**head, "session": "other"}
        (told,) = bundles.unbundle(await asked(pool, head, b"environment"), 1, 1 << 20)
        assert "LEXVEIL_MASTER_KEY" not in json.loads(told)
        (told,) = bundles.unbundle(await asked(pool, head_of_nothing, b"limits"), 1, 1 << 20)
        assert json.loads(told) == [1 << 30, 1 << 30]

    with_pool(factory, test, memory_bytes=1 << 30)


def test_refusals_name_the_guard_and_quote_nothing(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, deaths: list[None]) -> None:
        cases = [
            ({**head, "max_count": 0}, b"x", "bundle"),
            (head, b"value", "malformed"),
            ({**head, "session": "new", "keys": "/nowhere"}, b"x", "session"),
            ({**head, "session": "new", "keys_sha256": "0"}, b"x", "session"),
        ]
        for told, blob, code in cases:
            with pytest.raises(EvaluationRefusedError) as caught:
                await asked(pool, told, blob)
            assert caught.value.code == code
            assert "what the caller sent" not in str(caught.value)
        assert not deaths

    with_pool(factory, test)


def test_what_the_system_refuses_is_no_callers_fault(factory: Any, head: dict[str, Any]) -> None:
    async def test(pool: EvaluationPool, deaths: list[None]) -> None:
        for lacking in (b"disk", b"memory") * 2:
            with pytest.raises(WorkerFailedError) as caught:
                await asked(pool, head, lacking)
            assert (caught.value.status, bool(caught.value.retry_after)) == (503, True)
        assert not deaths
        assert await asked(pool, head, b"honest") == bundles.bundle([b"key honest"])

    with_pool(factory, test)


def test_workers_that_cannot_start_are_told(factory: Any) -> None:
    broken = functools.partial(sys.modules["told_evaluators"].broken)
    with pytest.raises(WorkersUnavailableError):
        asyncio.run(EvaluationPool(broken, WorkerLimits(), keys_folder=Path()).start())
