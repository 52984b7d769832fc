"""Output of the command line: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from lexveil.pipeline.records import ForEach, Manifest, Progress
    from lexveil.pipeline.settings import Settings

_PIPE_WIDTH = 160


def print_error(message: str, code: int) -> int:
    """Print one line on stderr and return the exit code."""
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return code


def is_debugging() -> bool:
    """True if full tracebacks were requested, which may contain document text."""
    return os.environ.get("LEXVEIL_DEBUG") == "unsafe"


def show(result: Mapping[str, Any], as_json: bool, written: Path | None = None) -> None:
    """Print one JSON object, or one line per value and one table per list of rows.

    Args:
        result: names and values.
        as_json: print JSON.
        written: what the command has written. If it is standard output, the result goes to stderr.
    """
    to = sys.stdout if written is None or not _is_standard_output(written) else sys.stderr
    if as_json:
        to.write(json.dumps(result, default=str) + "\n")
        to.flush()
        return
    from rich.console import Console

    # ":DATE:" must stay text
    style: dict[str, Any] = {"soft_wrap": True, "highlight": False, "emoji": False, "file": to}
    out = Console(**style)
    if not out.is_terminal:
        out = Console(**style, width=_PIPE_WIDTH)  # wide enough for whole reservation ids
    for name, value in result.items():
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            out.print(_table(name, value))
        elif isinstance(value, Mapping):
            inside = ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
            out.print(f"{name.replace('_', ' ')}: {inside or 'none'}", markup=False)
        else:
            out.print(f"{name.replace('_', ' ')}: {_plain(value)}", markup=False)


def _is_standard_output(written: Path) -> bool:
    from lexveil.pipeline.workspace.outputs import is_standard_output

    return is_standard_output(written)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in cast("Sequence[object]", value)) or "none"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title.replace("_", " "), title_justify="left")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(_plain(value)) for value in row.values()))
    return table


def show_manifest(manifest: Manifest, as_json: bool, **more: Any) -> None:
    """Print what a stage has done, with `more` values after the counts."""
    counts = {"stage": manifest.stage, "shards": len(manifest.shards), "shards_done_now": manifest.done_now}
    redone = {"redone": dict(manifest.redone)} if manifest.redone else {}
    show({**counts, "rows": manifest.rows, **manifest.counts(), **more, **redone}, as_json)


def show_plan(plan: Mapping[str, Any], as_json: bool) -> None:
    """Print what a run would do: as JSON, or one line per value and warning."""
    if as_json:
        show(plan, True)
        return
    lines = {name: value for name, value in plan.items() if name != "warnings"}
    fields = ", ".join(plan["may_name_owners"]) or "none"
    objective = plan["objective"] or "none, the run would stop after masking"
    show({**lines, "may_name_owners": fields, "objective": objective}, False)
    for warning in plan["warnings"]:
        sys.stdout.write(f"warning: {warning}\n")


def show_run(result: Mapping[str, Any], as_json: bool) -> None:
    """Print the result of the main job: all of it as JSON, or the important lines and the report's path."""
    if as_json:
        show(result, True)
        return
    from lexveil.pipeline.workspace.runs import RunRecord

    run = RunRecord(result)
    lines: dict[str, Any] = {
        "ingested": run.ingested,
        "duplicates": run.duplicates,
        "quarantined": run.quarantined,
        "quarantine": run.quarantine,
        **({"not shown": run.notes} if run.notes else {}),
        "masked": run.masked,
        "spans_by_type": run.spans_by_type,
        "model": run.model,
        "privacy of the weights": f"epsilon {run.epsilon:.3g}, delta {run.delta:.0e}, unit {run.unit}",
        "ledger": f"{run.ledger.total:.3g} of {run.ledger.limit:.3g} spent",
        "utility": run.utility or "no held-out documents",
        "encrypted": run.encrypted or "not possible: the weights are too large",
        "features": run.features,
        **run.redone,
    }
    show(lines, False)
    if not run.changed:
        sys.stdout.write("Nothing changed since the last run; nothing was done.\n")
    sys.stdout.write(f"Report: {run.report}\n")


@contextmanager
def progress(quiet: bool) -> Generator[Progress | None, None, None]:
    """Show one progress line per stage on stderr; yields the listener that feeds it, or None if `quiet`."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]:>17}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int, documents: int = 0) -> None:
        name = stage.partition("-")[0]  # encode-embedding and encode-tokens are one stage
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total, rate="")
        task = tasks[name]
        elapsed = next(bar.elapsed for bar in bars.tasks if bar.id == task)
        bars.update(task, completed=done, total=total, rate=format_rate(documents, elapsed or 0.0))

    with bars:
        update("start", 0, 1)

        def listener(stage: str, done: int, total: int, documents: int = 0) -> None:
            update("start", 1, 1)
            update(stage, done, total, documents)

        yield listener


def format_rate(documents: int, seconds: float) -> str:
    """Return the documents per second as text, empty if no documents were counted."""
    speed = documents / seconds if documents and seconds > 0 else 0.0
    return f"{speed:,.0f} documents/s" if speed >= 100 else f"{speed:.3g} documents/s" if speed else ""


@contextmanager
def worker_pool(settings: Settings, quiet: bool) -> Generator[ForEach, None, None]:
    """Process shards in worker processes, with a progress bar and without a scheduler."""
    from lexveil.flows.runners.pool import WorkerPool, with_progress

    with progress(quiet) as listener, WorkerPool(settings.workers) as pool:
        yield with_progress(pool.each, listener)
