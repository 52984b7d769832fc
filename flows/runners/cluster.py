"""What the Dask and the Ray runner share: the work for their workers."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from lexveil.flows.environment import collect_seldom
from lexveil.flows.runners.order import Order
from lexveil.flows.runners.pool import ONE_THREAD, exit_with_parent, run_item
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.logs import set_up_logging
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.settings import Settings


def order_maker(settings: Settings) -> Callable[[str, Work, Shard], Order]:
    """Return a function that makes the order of a shard for a worker of a cluster."""

    def make_order(stage: str, work: Work, shard: Shard) -> Order:
        return Order(functools.partial(_run_on_worker, stage, work, shard, settings.shard_seconds))

    return make_order


def _run_on_worker(stage: str, work: Work, shard: Shard, seconds: int) -> ShardResult:
    _set_up_worker()
    return run_item(stage, work, shard, seconds)


@functools.cache
def _set_up_worker() -> None:
    collect_seldom()
    os.environ.update(ONE_THREAD)  # for libraries that are not loaded yet
    keep_model_libraries_out_of_presidio()
    set_up_logging()
    exit_with_parent(os.getppid())  # Ray's workers would finish their shard first


def connect_cluster(connect: Callable[[], Any], kind: str) -> Any:
    """Return the outcome of `connect`.

    Raises:
        SettingsError: It failed: there is no usable cluster of this kind.
    """
    try:
        return connect()
    except Exception as error:
        # Without the message: the address may contain a password, and libraries quote it.
        raise SettingsError(f"setting runner: no {kind} to work with ({type(error).__name__})") from None
