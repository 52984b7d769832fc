"""TODO docstring."""

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
def ending(span: Span) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        end_span(span, error)
        raise
    end_span(span, None)


def end_span(span: Span, error: BaseException | None) -> None:
    """End a span. Of an error only the type: its message and traceback may quote a document."""
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
    span.end()


def get_tracer() -> Tracer:
    provider = tracer_provider()
    return trace.get_tracer("lexveil") if provider is None else provider.get_tracer("lexveil")


@functools.cache
def tracer_provider() -> Any:
    """A provider of our own where the environment names a collector; None where it names none."""
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
        return None
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        log.warning("traces need lexveil[tracing], which isn't installed; there are none")
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logging.getLogger("opentelemetry").setLevel(
        logging.ERROR
    )  # one line where they can't be sent, not each try
    name = os.environ.get("OTEL_SERVICE_NAME", "lexveil")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
