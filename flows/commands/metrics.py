"""`lexveil metrics`: the metrics of the pipeline's runs, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lexveil.flows.commands.options import ConfigOption, WorkspaceOption, WorkspaceOptions

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from lexveil.pipeline.workspace.workspace import Workspace


def metrics(
    port: Annotated[int | None, typer.Option(help="Serve them on this port until interrupted.")] = None,
    host: Annotated[str, typer.Option(help="Interface to listen on, with --port.")] = "127.0.0.1",
    location: WorkspaceOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the metrics of a workspace's runs for Prometheus, or serve them by HTTP at /metrics.

    They are counts of private documents without noise: for operators inside, behind a firewall.
    """
    workspace = WorkspaceOptions(location, config).open()
    from lexveil.pipeline.monitoring.metrics import read_metrics

    if port is None:
        typer.echo(read_metrics(workspace).decode(), nl=False)
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from lexveil.pipeline.errors import LexveilError

    registry = CollectorRegistry()
    registry.register(_Collector(workspace))  # pyright: ignore[reportArgumentType]  duck-typed by prometheus_client
    try:
        _, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError):
        raise LexveilError(f"cannot listen on {host}, port {port}") from None
    typer.echo(f"metrics: http://{host}:{port}/metrics", err=True)
    thread.join()


class _Collector:
    """Reads the workspace's file of metrics at every scrape."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def collect(self) -> Iterator[Metric]:
        from lexveil.pipeline.logs import log
        from lexveil.pipeline.monitoring.metrics import RunMetrics

        try:
            yield from RunMetrics.read(self._workspace).collect()
        except Exception as error:  # its message may name a path; Prometheus sees an empty scrape
            log.warning("metrics: %s", type(error).__name__)
