"""The history page: all runs of a workspace, so that people see a batch that differs from the others.

Like the report, it is one HTML file without scripts that loads nothing from the network, and is made of
counts only. All of them were measured on private documents without noise, so the page must stay inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from markupsafe import Markup

from lexveil.pipeline.monitoring.batches import (
    FEATURES,
    HELD_BACK,
    MOST_RUNS,
    QUARANTINED,
    REVIEW,
    PastRun,
    read_past_runs,
)
from lexveil.pipeline.monitoring.drift import ALARMS, FEWEST_OWNERS, WINDOW
from lexveil.pipeline.reports.charts import (
    ACCENT,
    ALARM,
    DASHED,
    INK,
    LINE,
    MUTED,
    SMALL,
    SOFT,
    WIDTH,
    Axis,
    Panel,
    Point,
    draw_bar,
    draw_dots,
    draw_legend,
    draw_line,
    draw_marks,
    draw_scale,
    draw_text,
    render,
    shorten_label,
)
from lexveil.pipeline.reports.pages import format_figure, get_templates
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

_SHARES = (QUARANTINED, REVIEW, HELD_BACK)
_MOST_TYPES = 12
_COLUMNS = 3
_STAGES = ((MUTED, 1.0), (ACCENT, 1.0), (SOFT, 1.0), (INK, 0.75), (ACCENT, 0.5), (MUTED, 0.5), (LINE, 1.0))
_LOG_FROM = 20  # the axis is logarithmic if the largest batch is this many times the median
# Of a drawing and of a small panel, in units of the drawing.
_LEFT, _TOP, _BOTTOM, _HEIGHT, _PANEL_HEIGHT = 64.0, 8.0, 116.0, 137.0, 98.0
_DOTS_UP_TO = 25  # runs that are drawn as dots


def history_path(workspace: Workspace) -> Path:
    """Return the path of the page."""
    return workspace.runs / "history.html"


def write_history(workspace: Workspace) -> Path:
    """Write the page of all finished runs durably, readable by its owner only (mode 0600)."""
    path = history_path(workspace)
    write_bytes(path, render_history(read_past_runs(workspace)).encode(), mode=0o600)
    return path


@dataclass(frozen=True, slots=True)
class _Series:
    """One figure over the runs. A value is None if the run has too few documents.

    Attributes:
        name: name of the figure.
        values: its values.
        low: lower ends of the expected intervals.
        high: upper ends of the expected intervals.
        unlike: True for values that stand out.
    """

    name: str
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    unlike: list[bool]

    def highest(self) -> float:
        """Return the highest value and end of an interval."""
        return max([0.0, *(value for value in (*self.values, *self.high) if value is not None)])


def render_history(runs: Sequence[PastRun]) -> str:
    """Render the page as HTML; `runs` with the oldest first. Strings are escaped."""
    rows = [_build_row(run) for run in runs]
    flagged = [row for row in reversed(rows) if row["unlike"]]
    return (
        get_templates()
        .get_template("history.html.j2")
        .render(
            rows=list(reversed(rows)),
            flagged=flagged,
            last=rows[-1] if rows else None,
            spent=runs[-1].record.data["spent"] if runs else None,
            documents=sum(row["documents"] for row in rows),
            most_runs=MOST_RUNS,
            alarms=ALARMS,
            window=WINDOW,
            fewest=FEWEST_OWNERS,
            **_draw_plots(runs),
        )
    )


def _build_row(run: PastRun) -> dict[str, Any]:
    record, batch = run.record, run.batch
    distance = record.batch.distance
    spans = sum(rate.total for name, rate in batch.rates.items() if name not in _SHARES)
    return {
        "run_id": record.run_id,
        "started": record.started[:16].replace("T", " "),
        "documents": batch.documents,
        "spans": spans / batch.documents if batch.documents else None,
        **{name.replace(" ", "_"): batch.rates[name].total for name in _SHARES},
        "distance": run.distance,
        "limit": distance and distance.limit,
        "judged": bool(record.batch.expected),
        "enough": batch.judgeable,
        "seconds": sum(record.seconds.values()),
        "epsilon": record.ledger.total,
        "unlike": [_describe_outlier(run, name) for name in sorted(batch.unlike)],
    }


def _describe_outlier(run: PastRun, name: str) -> str:
    """Describe what stands out in a run, and by how much."""
    if name == FEATURES:
        distance = run.record.batch.distance
        assert distance is not None
        value, limit = format_figure(distance.value), format_figure(distance.limit)
        return f"features: distance {value}, up to {limit} was seen"
    rate, low, high = run.record.batch.expected[name]
    expected = f"{format_figure(low)} to {format_figure(high)} expected, usually {format_figure(rate)}"
    return f"{name}: {format_figure(run.batch.rate(name))} per document, {expected}"


def _draw_plots(runs: Sequence[PastRun]) -> dict[str, Markup | None]:
    if not runs:
        return dict.fromkeys(
            ("batches_plot", "shares_plot", "spans_plot", "distance_plot", "epsilon_plot", "seconds_plot")
        )
    totals: dict[str, int] = {}
    for run in runs:
        for name, rate in run.batch.rates.items():
            totals[name] = totals.get(name, 0) + rate.total
    types = sorted(
        (name for name in totals if name not in _SHARES and totals[name]),
        key=lambda name: (-totals[name], name),
    )
    return {
        "batches_plot": _draw_batches(runs),
        "shares_plot": _draw_rates(runs, _SHARES),
        "spans_plot": _draw_rates(runs, types[:_MOST_TYPES]) if types else None,
        "distance_plot": _draw_distances(runs),
        "epsilon_plot": _draw_epsilon(runs),
        "seconds_plot": _draw_seconds(runs),
    }


def _build_series(runs: Sequence[PastRun], name: str) -> _Series:
    series = _Series(name, [], [], [], [])
    for run in runs:
        batch, expected = run.batch, run.record.batch.expected.get(name)
        series.values.append(batch.rate(name) if batch.documents else None)
        series.low.append(expected[1] if expected else None)
        series.high.append(expected[2] if expected else None)
        series.unlike.append(name in batch.unlike)
    return series


def _draw_batches(runs: Sequence[PastRun]) -> Markup:
    sizes = [run.batch.documents for run in runs]
    most = max(sizes)
    # The first load, among nightly batches.
    logarithmic = most > _LOG_FROM * max(1.0, median(sizes))
    scale = Axis(0.7, 1.5 * most, _BOTTOM, _TOP, True) if logarithmic else _make_scale(most, 1.05)
    panel = Panel(_make_run_axis(runs, _LEFT, WIDTH), scale)
    half = _half_bar(runs)
    parts = [*draw_scale(panel, "new documents"), *draw_marks(panel, _list_dates(runs))]
    for x, (run, size) in enumerate(zip(runs, sizes, strict=True)):
        if size:
            corners = panel.at([(x - half, scale.low), (x + half, size)])
            parts.append(draw_bar(corners, ALARM if run.batch.unlike else ACCENT))
    unlike = sum(bool(run.batch.unlike) for run in runs)
    alt = f"Bar chart of new documents in {len(runs)} runs, {sizes[-1]} in the last; {unlike} unlike others."
    return render(_HEIGHT, alt, parts)


def _draw_rates(runs: Sequence[PastRun], names: Sequence[str]) -> Markup:
    """Draw a panel for each rate: the rate as a line, the expected interval as a band."""
    parts: list[Markup] = []
    dates = _list_dates(runs, 2)
    for number, name in enumerate(names):
        row, column = divmod(number, _COLUMNS)
        left, top = column * WIDTH / _COLUMNS, row * _PANEL_HEIGHT
        series = _build_series(runs, name)
        scale = _make_scale(series.highest(), 1.1, top + _PANEL_HEIGHT - 22.0, top + 24.0)
        panel = Panel(_make_run_axis(runs, left + 34.0, left + WIDTH / _COLUMNS), scale)
        parts.append(draw_text((panel.x.start, top + 10.0), shorten_label(name), size=SMALL))
        parts += [*draw_scale(panel), *draw_marks(panel, dates), *_draw_series(panel, series)]
    last = ", ".join(f"{name} {format_figure(runs[-1].batch.rate(name))}" for name in names)
    alt = f"Line charts over {len(runs)} runs, one each; in the last run, per document: {last}."
    return render(-(-len(names) // _COLUMNS) * _PANEL_HEIGHT, alt, parts)


def _draw_series(panel: Panel, series: _Series) -> list[Markup]:
    bands = [
        draw_bar(panel.at([(x - 0.5, low), (x + 0.5, high)]), SOFT, 0.35)
        for x, (low, high) in enumerate(zip(series.low, series.high, strict=True))
        if low is not None and high is not None
    ]
    known = [(x, value) for x, value in enumerate(series.values) if value is not None]
    outliers = [(x, value) for x, value in known if series.unlike[x]]
    line = draw_line(panel.at(known), ACCENT, 1.4)
    dots = draw_dots(panel.at(known if len(known) <= _DOTS_UP_TO else []), ACCENT, 1.5)
    return [*bands, line, dots, draw_dots(panel.at(outliers), ALARM, 2.5)]


def _draw_distances(runs: Sequence[PastRun]) -> Markup | None:
    measured = [run.record.batch.distance for run in runs]
    if not any(measured):
        return None
    distances = _Series(
        FEATURES,
        [entry and entry.value for entry in measured],
        [entry and 0.0 for entry in measured],
        [entry and entry.limit for entry in measured],
        [FEATURES in run.batch.unlike for run in runs],
    )
    panel = Panel(_make_run_axis(runs, _LEFT, WIDTH), _make_scale(distances.highest(), 1.1))
    known = [entry.value for entry in measured if entry]
    return render(
        _HEIGHT,
        f"Line chart of the distance of features in {len(known)} runs, the last {format_figure(known[-1])}.",
        [
            *draw_scale(panel, "distance"),
            *draw_marks(panel, _list_dates(runs)),
            *_draw_series(panel, distances),
        ],
    )


def _draw_epsilon(runs: Sequence[PastRun]) -> Markup:
    spent = [run.record.ledger.total for run in runs]
    limits = [run.record.ledger.limit for run in runs]
    panel = Panel(_make_run_axis(runs, _LEFT, WIDTH), _make_scale(max(*spent, *limits), 1.15))
    parts = [*draw_scale(panel, "epsilon"), *draw_marks(panel, _list_dates(runs))]
    parts.append(draw_line(panel.at(_build_steps(spent)), ACCENT, 1.8))
    if len(runs) <= _DOTS_UP_TO:
        parts.append(draw_dots(panel.at(enumerate(spent)), ACCENT, 2.0))
    parts.append(draw_line(panel.at(_build_steps(limits)), ALARM, 1.5, DASHED))
    alt = f"Line chart of epsilon: {format_figure(spent[-1])} spent, limit {format_figure(limits[-1])}."
    return render(_HEIGHT, alt, parts)


def _build_steps(values: Sequence[float]) -> list[Point]:
    """Return the corners of a line that keeps each value until the next; a single one is a short line."""
    if len(values) == 1:
        return [(-0.1, values[0]), (0.1, values[0])]
    corners = [(float(x), value) for x, value in enumerate(values)]
    return [corner for x, value in corners for corner in ((x, values[max(0, int(x) - 1)]), (x, value))]


def _draw_seconds(runs: Sequence[PastRun]) -> Markup:
    stages = list(dict.fromkeys(stage for run in runs for stage in run.record.seconds))
    looks = {stage: _STAGES[number % len(_STAGES)] for number, stage in enumerate(stages)}
    totals = [sum(run.record.seconds.values()) for run in runs]
    parts, height = draw_legend((stage, *look) for stage, look in looks.items())
    scale = _make_scale(max(totals), 1.05, height + _BOTTOM, height + _TOP)
    panel = Panel(_make_run_axis(runs, _LEFT, WIDTH), scale)
    parts += [*draw_scale(panel, "seconds"), *draw_marks(panel, _list_dates(runs))]
    half = _half_bar(runs)
    for x, run in enumerate(runs):
        below = 0.0
        for stage, seconds in run.record.seconds.items():
            corners = panel.at([(x - half, below), (x + half, below + seconds)])
            parts.append(draw_bar(corners, *looks[stage]))
            below += seconds
    alt = f"Bars of seconds by stage over {len(runs)} runs, {format_figure(totals[-1])} in the last."
    return render(height + _HEIGHT, alt, parts)


def _make_scale(most: float, room: float, bottom: float = _BOTTOM, top: float = _TOP) -> Axis:
    """Make a vertical axis from zero to the largest value, and some room."""
    return Axis(0.0, room * max(0.01, most), bottom, top)


def _make_run_axis(runs: Sequence[PastRun], left: float, right: float) -> Axis:
    return Axis(-0.7, len(runs) - 0.3, left, right - 12.0)


def _half_bar(runs: Sequence[PastRun]) -> float:
    return 0.35 if len(runs) > 3 else 0.15


def _list_dates(runs: Sequence[PastRun], most: int = 6) -> list[tuple[float, str]]:
    """Return some of the runs, evenly chosen, with their dates."""
    last = len(runs) - 1
    chosen = sorted({round(last * n / max(1, most - 1)) for n in range(most)})
    return [(n, runs[n].record.started[5:10]) for n in chosen]
