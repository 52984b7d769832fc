"""TODO docstring."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from lexveil.flows.runners.order import Order
from lexveil.flows.runners.pool import (
    ONE_THREAD,
    carry_out,
    leave_with,
)
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
from lexveil.pipeline.errors import (
    SettingsError,
)
from lexveil.pipeline.logs import set_up_logging
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.settings import Settings


def cluster_order(settings: Settings) -> Callable[[str, Work, Shard], Order]:
    def order(stage: str, work: Work, shard: Shard) -> Order:
        return Order(functools.partial(_carry_out_there, stage, work, shard, settings.shard_seconds))

    return order


def _carry_out_there(stage: str, work: Work, shard: Shard, seconds: int) -> ShardResult:
    _set_up_worker()
    return carry_out(stage, work, shard, seconds)


@functools.cache
def _set_up_worker() -> None:
    os.environ.update(ONE_THREAD)  # for the libraries that aren't loaded yet
    keep_model_libraries_out_of_presidio()
    set_up_logging()
    leave_with(os.getppid())  # Ray's would finish what they are at


def connected(connect: Callable[[], Any], what: str) -> Any:
    try:
        return connect()
    except Exception as error:
        # The address may hold a password, and libraries quote it.
        raise SettingsError(f"setting runner: no {what} to work with ({type(error).__name__})") from None


@contextmanager
def known_server() -> Generator[None, None, None]:
    """Tell the workers of our ephemeral Prefect server: they would start one each."""
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()  # the one that every client in this process uses
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield


@contextmanager
def worker_environment(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """The variables set while a cluster is started and used; its processes take them over."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
