"""What follows on a failed scheduled run: retries with growing delays, and a notification.

Prefect's flows have one delay for all retries; here the delay of the next retry is set after each failure.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Any, ParamSpec

from lexveil.pipeline.errors import (
    AgreementError,
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
# For a passing fault, for a server that is restarting, and for a storage that is being repaired.
DELAYS = (60, 5 * 60, 25 * 60)
_WEBHOOK_SECONDS = 10
# What does not change within an hour: the ledger's limit, a verdict, a setting, an agreement.
_FINAL = (
    AgreementError,
    AuditFailedError,
    BudgetRefusedError,
    SettingsError,
    TrainingRefusedError,
    TrainingStoppedError,
)


def with_backoff(body: Callable[P, None], delays: Sequence[int] = DELAYS) -> Callable[P, None]:
    """Wrap the body of a flow: its retries wait longer each time, and a refusal is not retried.

    Args:
        body: The body, which may be retried `RETRIES` times.
        delays: Seconds before the first retry, the second, ...; the last for all that follow.
    """

    @functools.wraps(body)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **kwargs)
        except Exception as error:
            _plan_retry(delays, final=isinstance(error, _FINAL))
            raise

    return attempt


def notify(flow: Any, flow_run: Any, state: Any) -> None:
    """Report a failed run to the address in LEXVEIL_WEBHOOK: names, ids and states only.

    If the receiver cannot be reached, that is logged: it must not harm the run.
    """
    if not (url := os.environ.get(WEBHOOK)):
        return
    try:
        request = urllib.request.Request(  # noqa: S310 - the operator's own address
            url,
            encode_message(flow.name, str(flow_run.id), state.name),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_WEBHOOK_SECONDS):  # noqa: S310
            pass
    except (OSError, ValueError, HTTPException) as error:
        # Without its message: the address may contain a secret.
        log.warning("the failure of a run could not be reported: %s", type(error).__name__)


def encode_message(flow: str, run: str, state: str) -> bytes:
    """Return the JSON that a receiver gets."""
    return json.dumps({"flow": flow, "run": run, "state": state}).encode()


def _plan_retry(delays: Sequence[int], final: bool) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import FlowRunPolicy
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    # Without a server there is no retry to plan, and the run's own error is the one to report.
    with suppress(Exception), get_client(sync_client=True) as client:
        attempts = max(1, client.read_flow_run(context.flow_run.id).run_count)
        delay = delays[min(attempts, len(delays)) - 1]
        policy = FlowRunPolicy(retries=0 if final else RETRIES, retry_delay=delay)
        client.update_flow_run(context.flow_run.id, empirical_policy=policy)
