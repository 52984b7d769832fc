"""Traces of runs for OpenTelemetry.

They are exported if OpenTelemetry's own variables name a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`) and the
extra `tracing` is installed. The provider is private to Lexveil: Prefect would use a global one too, and
writes the parameters of its flows, and with them paths, into its spans.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer

log = logging.getLogger("lexveil")

FLUSH_MILLISECONDS = 10_000

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def end_span_after(span: Span) -> Generator[None]:
    """End a span when the block ends, with its error if there is one."""
    try:
        yield
    except BaseException as error:
        end_span(span, error)
        raise
    end_span(span, None)


def end_span(span: Span, error: BaseException | None) -> None:
    """End a span. It records only the type of an error: message and traceback may quote a document."""
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
    span.end()


def get_tracer() -> Tracer:
    """Return a tracer. Its spans go nowhere if no collector is named."""
    provider = get_tracer_provider()
    return trace.get_tracer("lexveil") if provider is None else provider.get_tracer("lexveil")


@functools.cache
def get_tracer_provider() -> Any:
    """Return Lexveil's own provider; None if the environment names no collector."""
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
        return None
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        log.warning("traces need lexveil[tracing], which is not installed; none are written")
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # One line if spans cannot be sent, instead of one per attempt.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    name = os.environ.get("OTEL_SERVICE_NAME", "lexveil")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
