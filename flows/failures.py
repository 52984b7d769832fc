"""What happens when a scheduled run fails: it is tried again, later each time, or somebody is told.

Prefect's flows know one delay for all retries; the delay of the next one is set here before each.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, ParamSpec

from lexveil.pipeline.errors import (
    AuditFailedError,
    BudgetRefusedError,
    SettingsError,
    TrainingRefusedError,
    TrainingStoppedError,
)
from lexveil.pipeline.logs import log

P = ParamSpec("P")
WEBHOOK = "LEXVEIL_WEBHOOK"
RETRIES = 3
# Once for a passing fault, then for a server that starts again, then for a storage that is being mended.
DELAYS = (60, 5 * 60, 25 * 60)
_WEBHOOK_SECONDS = 10
# What an hour doesn't change: the ledger's limit, a verdict, a setting.
_FINAL = (AuditFailedError, BudgetRefusedError, SettingsError, TrainingRefusedError, TrainingStoppedError)


def again_later(body: Callable[P, None]) -> Callable[P, None]:
    """The body of a flow, whose retries wait longer each time; a refusal is not tried again."""

    @functools.wraps(body)
    def trying(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **kwargs)
        except Exception as error:
            _set_next_try(isinstance(error, _FINAL))
            raise

    return trying


def notify(flow: Any, flow_run: Any, state: Any) -> None:
    """Tell the address in LEXVEIL_WEBHOOK that a run failed: names, ids and states only.

    A receiver that can't be reached is a line of the log: it must not harm the run.
    """
    if not (url := os.environ.get(WEBHOOK)):
        return
    try:
        request = urllib.request.Request(  # noqa: S310 - the operator's own address
            url, message(flow.name, str(flow_run.id), state.name), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_WEBHOOK_SECONDS):  # noqa: S310
            pass
    except (
        OSError,
        ValueError,
        HTTPException,
    ) as error:  # the address may hold a secret, so only the kind is told
        log.warning("the failure of a run could not be told: %s", type(error).__name__)


def message(flow: str, run: str, state: str) -> bytes:
    """What a receiver gets."""
    return json.dumps({"flow": flow, "run": run, "state": state}).encode()


def _set_next_try(final: bool) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import FlowRunPolicy
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    # Where the server is gone there is no retry to be set, and the run's own error is the one to be told.
    with suppress(Exception), get_client(sync_client=True) as client:
        tries = max(1, client.read_flow_run(context.flow_run.id).run_count)
        delay = DELAYS[min(tries, len(DELAYS)) - 1]
        policy = FlowRunPolicy(retries=0 if final else RETRIES, retry_delay=delay)
        client.update_flow_run(context.flow_run.id, empirical_policy=policy)
