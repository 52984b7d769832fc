"""TODO docstring."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from lexveil.flows.runners.pool import (
    Stopped,
    died_twice,
)
from lexveil.pipeline.errors import (
    AuditFailedError,
    BudgetRefusedError,
    LexveilError,
    TrainingStoppedError,
    UserError,
)
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.records import Shard, ShardResult, Work

RETRIES = 2

_BACK_OFF_SECONDS = 5

# What trying again doesn't cure.
_FINAL = (UserError, BudgetRefusedError, AuditFailedError, TrainingStoppedError, Stopped)


class Order:
    """One shard's work on its way to a worker. Shows nothing, and is no container that Prefect looks into."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], ShardResult]) -> None:
        self._run = run

    def __call__(self) -> ShardResult:
        return self._run()

    def __repr__(self) -> str:
        return "Order()"


def may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Whether trying again could help: not against a setting, a key or the ledger."""
    del task, task_run
    return not isinstance(state.data, _FINAL)


@task(
    name="shard",
    cache_policy=NO_CACHE,
    persist_result=False,
    log_prints=False,
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(_BACK_OFF_SECONDS),
    retry_jitter_factor=0.5,
    retry_condition_fn=may_pass,
)
@seal_errors("shard")
def shard_task(order: Order) -> ShardResult:
    """The task of every shard; it takes the stage's name."""
    return order()


@dataclass(frozen=True, slots=True)
class Runner:
    """Prefect's task runner at work. `order` makes an order for it; `slots` shards are under way at once."""

    tasks: Any
    order: Callable[[str, Work, Shard], Order]
    slots: int
    options: Callable[[], Any] | None = None  # context in which tasks are submitted
    theirs: bool = False  # a cluster that goes on when we end

    def each(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """A `ForEach`: a bounded number of tasks under way, results as they come."""
        named = shard_task.with_options(name=stage)
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        under_way: dict[Any, tuple[Any, Shard]] = {}
        waiting = iter(shards)
        try:
            while True:
                for shard in itertools.islice(waiting, 2 * self.slots - len(under_way)):
                    future = self._submit(named, self.order(stage, work, shard))
                    under_way[future.task_run_id] = future, shard
                    future.add_done_callback(done.put)
                if not under_way:
                    return
                future, shard = under_way.pop(done.get().task_run_id)
                yield _result(future, stage, shard)
        finally:
            if self.theirs:  # or a worker would still write after another run began
                for future, _ in under_way.values():
                    future.wait()

    def _submit(self, named: Any, order: Order) -> Any:
        with ExitStack() as stack:
            if self.options is not None:
                stack.enter_context(self.options())
            return self.tasks.submit(named, {"order": order})


def _result(future: Any, stage: str, shard: Shard) -> ShardResult:
    try:
        return future.result()
    except LexveilError as error:
        raise error from None
    except Exception:  # Dask and Ray have tried twice by then
        raise died_twice(stage, shard) from None
