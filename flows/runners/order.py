"""Shards as Prefect tasks: what a task is given, when it is retried, and how many run at once."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from lexveil.flows.runners.pool import PoolClosedError, describe_death
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

# What a retry does not cure.
_FINAL = (UserError, BudgetRefusedError, AuditFailedError, TrainingStoppedError, PoolClosedError)


class Order:
    """One shard's work on its way to a worker.

    Its `repr` shows nothing, and Prefect does not look into it as it does into containers.
    """

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], ShardResult]) -> None:
        self._run = run

    def __call__(self) -> ShardResult:
        """Process the shard."""
        return self._run()

    def __repr__(self) -> str:
        return "Order()"


def is_transient(task: Any, task_run: Any, state: Any) -> bool:
    """True if a retry could help: not against a setting, a key or the ledger."""
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
    retry_condition_fn=is_transient,
)
@seal_errors("shard")
def shard_task(order: Order) -> ShardResult:
    """Run one shard. The task gets the name of its stage."""
    return order()


@dataclass(frozen=True, slots=True)
class Runner:
    """A started task runner of Prefect, as stages use it.

    Attributes:
        tasks: The task runner.
        make_order: Makes the order of a shard.
        slots: Number of shards that are processed at once.
        options: Makes the context in which tasks are submitted.
        external: The cluster was not started here and goes on when this process ends.
        context: What Prefect knows where the runner was started, in the flow: with what it knows within a
            task, tasks cannot be sent to a cluster.
    """

    tasks: Any
    make_order: Callable[[str, Work, Shard], Order]
    slots: int
    options: Callable[[], Any] | None = None
    external: bool = False
    context: Context = field(default_factory=copy_context, repr=False)

    def each(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Process shards as a `ForEach`, with a bounded number of submitted tasks; results in any order."""
        stage_task = shard_task.with_options(name=stage)
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        submitted: dict[Any, tuple[Any, Shard]] = {}
        waiting = iter(shards)
        try:
            while True:
                for shard in itertools.islice(waiting, 2 * self.slots - len(submitted)):
                    order = self.make_order(stage, work, shard)
                    future = self.context.copy().run(self._submit, stage_task, order)
                    submitted[future.task_run_id] = future, shard
                    future.add_done_callback(done.put)
                if not submitted:
                    return
                future, shard = submitted.pop(done.get().task_run_id)
                yield _read_result(future, stage, shard)
        finally:
            if self.external:  # or a worker would still write after another run began
                for future, _ in submitted.values():
                    future.wait()

    def _submit(self, stage_task: Any, order: Order) -> Any:
        with ExitStack() as stack:
            if self.options is not None:
                stack.enter_context(self.options())
            return self.tasks.submit(stage_task, {"order": order})


def _read_result(future: Any, stage: str, shard: Shard) -> ShardResult:
    try:
        return future.result()
    except LexveilError as error:
        raise error from None
    except Exception:  # Dask and Ray have tried twice by then
        raise describe_death(stage, shard) from None
