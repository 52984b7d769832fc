"""Metrics of the endpoint for Prometheus, and its log: one line of JSON per request.

Neither contains a body, a session, a key or an address. Tenants are names that the operator chose.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.evaluation import PoolState

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger("lexveil.serving")

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServerMetrics:
    """The metrics of one application, in their own registry.

    Attributes:
        requests: requests, by method, route, status and tenant.
        seconds: duration of requests, by route.
        refusals: refused requests, by code and tenant.
        slots: evaluated document slots, by tenant.
        cpu_seconds: CPU time of the workers, by tenant.
        leakage: total variation of sealed answers, by tenant and model.
        deaths: workers that died and were replaced.
        killers: requests that crashed two workers.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "lexveil_requests", "Requests", ["method", "route", "status", "tenant"], registry=registry
        )
        self.seconds = Histogram(
            "lexveil_request_seconds", "Time of a request", ["route"], buckets=_SECONDS, registry=registry
        )
        self.refusals = Counter(
            "lexveil_refusals", "Refused requests by code", ["code", "tenant"], registry=registry
        )
        self.slots = Counter(
            "lexveil_document_slots", "Document slots evaluated", ["tenant"], registry=registry
        )
        self.cpu_seconds = Counter(
            "lexveil_cpu_seconds", "CPU time of the workers", ["tenant"], registry=registry
        )
        self.leakage = Gauge(
            "lexveil_leakage", "Total variation of answers", ["tenant", "model"], registry=registry
        )
        self.deaths = Counter(
            "lexveil_worker_deaths", "Workers that died and were replaced", registry=registry
        )
        self.killers = Counter(
            "lexveil_worker_killers", "Requests refused since they ended two workers", registry=registry
        )

    def add_gauges(self, pool: Callable[[], PoolState], sessions: Callable[[], tuple[float, float]]) -> None:
        """Add gauges whose values are read at each scrape.

        Args:
            pool: returns the state of the workers.
            sessions: returns the number of open sessions, and the bytes of their keys.
        """

        def count(place: int) -> float:
            try:
                return sessions()[place]
            except RefusalError:  # the database does not answer; the other metrics are still useful
                return math.nan

        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "lexveil_workers_alive": ("Worker processes", lambda: pool().alive),
            "lexveil_workers_busy": ("Workers at work", lambda: pool().busy),
            "lexveil_requests_waiting": ("Requests that wait for a worker", lambda: pool().waiting),
            "lexveil_queue_seconds": (
                "Seconds that a request waits for a worker, as the queue is now",
                lambda: pool().queue_seconds,
            ),
            "lexveil_sessions": ("Open sessions", lambda: count(0)),
            "lexveil_session_bytes": ("Bytes of evaluation keys", lambda: count(1)),
        }
        for name, (about, read) in gauges.items():
            Gauge(name, about, registry=self._registry).set_function(read)

    def to_text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, event, and what its `fields` contain.

    An exception is logged by its type only: its message and traceback may quote what a caller sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=True)


def log_as_json() -> None:
    """Make the endpoint and uvicorn log lines of JSON to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("lexveil.serving", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").handlers = []
    logging.getLogger("uvicorn.error").propagate = True
