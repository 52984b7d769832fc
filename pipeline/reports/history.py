"""The history page: all runs of a workspace, so that people see a batch that differs from the others.

Like the report, it is one HTML file without scripts that loads nothing from the network, and is made of
counts only. All of them were measured on private documents without noise, so the page must stay inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

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
    INK,
    LINE,
    MUTED,
    SOFT,
    create_drawing,
    create_panels,
    drawing_style,
    format_figure,
    get_templates,
    render_svg,
)
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHARES = (QUARANTINED, REVIEW, HELD_BACK)
_MOST_TYPES = 12
_COLUMNS = 3
_STAGES = ((MUTED, 1.0), (ACCENT, 1.0), (SOFT, 1.0), (INK, 0.75), (ACCENT, 0.5), (MUTED, 0.5), (LINE, 1.0))
_LOG_FROM = 20  # the axis is logarithmic if the largest batch is this many times the median
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
    with drawing_style():
        return {
            "batches_plot": _draw_batches(runs),
            "shares_plot": _draw_rates(runs, _SHARES, "shares"),
            "spans_plot": _draw_rates(runs, types[:_MOST_TYPES], "types") if types else None,
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
    drawing, axes = create_drawing(1.9)
    sizes = [run.batch.documents for run in runs]
    colors = [ALARM if run.batch.unlike else ACCENT for run in runs]
    axes.bar(range(len(runs)), sizes, color=colors, width=0.7 if len(runs) > 3 else 0.3)
    _set_run_axis(axes, runs)
    if max(sizes) > _LOG_FROM * max(1.0, median(sizes)):  # the first load, among nightly batches
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.tick_params(which="minor", length=0)
    axes.set_ylabel("new documents", color=MUTED)
    unlike = sum(bool(run.batch.unlike) for run in runs)
    alt = f"Bar chart of new documents in {len(runs)} runs, {sizes[-1]} in the last; {unlike} unlike others."
    return render_svg(drawing, "batches", alt)


def _draw_rates(runs: Sequence[PastRun], names: Sequence[str], what: str) -> Markup:
    """Draw a panel for each rate: the rate as a line, the expected interval as a band."""
    drawing, grid = create_panels(len(names), _COLUMNS, 1.35)
    for axes, series in zip(grid, (_build_series(runs, name) for name in names), strict=True):
        _draw_series(axes, series)
        _set_run_axis(axes, runs, ticks=2)
        axes.set_title(series.name, fontsize=9, color=INK, loc="left", parse_math=False)
    last = ", ".join(f"{name} {format_figure(runs[-1].batch.rate(name))}" for name in names)
    return render_svg(
        drawing, what, f"Line charts over {len(runs)} runs, one each; in the last run, per document: {last}."
    )


def _draw_series(axes: Axes, series: _Series) -> None:
    bands = [
        (x, low, high)
        for x, (low, high) in enumerate(zip(series.low, series.high, strict=True))
        if low is not None and high is not None
    ]
    for x, low, high in bands:
        axes.fill_between([x - 0.5, x + 0.5], low, high, color=SOFT, alpha=0.35, linewidth=0)
    known = [(x, value) for x, value in enumerate(series.values) if value is not None]
    dots = "o" if len(known) <= _DOTS_UP_TO else None
    axes.plot(*_to_columns(known), color=ACCENT, linewidth=1.4, marker=dots, markersize=2.5)
    outliers = [(x, value) for x, value in known if series.unlike[x]]
    axes.plot(*_to_columns(outliers), color=ALARM, marker="o", markersize=5, linestyle="none")
    axes.set_ylim(0, 1.1 * max([0.01, *(value for _, value in known), *(high for _, _, high in bands)]))


def _to_columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in points], [value for _, value in points]


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
    drawing, axes = create_drawing(1.9)
    _draw_series(axes, distances)
    _set_run_axis(axes, runs)
    axes.set_ylabel("distance", color=MUTED)
    known = [entry.value for entry in measured if entry]
    return render_svg(
        drawing,
        "distance",
        f"Line chart of the distance of features in {len(known)} runs, the last {format_figure(known[-1])}.",
    )


def _draw_epsilon(runs: Sequence[PastRun]) -> Markup:
    spent = [run.record.ledger.total for run in runs]
    limits = [run.record.ledger.limit for run in runs]
    drawing, axes = create_drawing(1.9)
    x = range(len(runs))
    dots = "o" if len(runs) <= _DOTS_UP_TO else None
    axes.step(x, spent, where="post", color=ACCENT, linewidth=1.8, marker=dots, markersize=3)
    axes.step(
        x,
        limits,
        where="post",
        color=ALARM,
        linewidth=1.5,
        linestyle=(0, (4, 3)),
        marker="_" if len(runs) == 1 else None,
    )
    axes.set_ylim(0, 1.15 * max(*spent, *limits))
    _set_run_axis(axes, runs)
    axes.set_ylabel("epsilon", color=MUTED)
    return render_svg(
        drawing,
        "epsilon",
        f"Line chart of epsilon: {format_figure(spent[-1])} spent, limit {format_figure(limits[-1])}.",
    )


def _draw_seconds(runs: Sequence[PastRun]) -> Markup:
    stages = list(dict.fromkeys(stage for run in runs for stage in run.record.seconds))
    drawing, axes = create_drawing(2.2)
    below = [0.0] * len(runs)
    for number, stage in enumerate(stages):
        seconds = [run.record.seconds.get(stage, 0.0) for run in runs]
        color, alpha = _STAGES[number % len(_STAGES)]
        axes.bar(
            range(len(runs)),
            seconds,
            bottom=below,
            color=color,
            alpha=alpha,
            width=0.7 if len(runs) > 3 else 0.3,
            label=stage,
        )
        below = [low + more for low, more in zip(below, seconds, strict=True)]
    _set_run_axis(axes, runs)
    axes.set_ylabel("seconds", color=MUTED)
    if stages:
        legend = drawing.legend(
            loc="outside upper left", ncols=6, frameon=False, fontsize=9, labelcolor=INK, handlelength=1
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return render_svg(
        drawing,
        "seconds",
        f"Bars of seconds by stage over {len(runs)} runs, {format_figure(below[-1])} in the last.",
    )


def _set_run_axis(axes: Axes, runs: Sequence[PastRun], ticks: int = 6) -> None:
    """Put the runs on the horizontal axis, some of them with their date."""
    last = len(runs) - 1
    labeled = sorted({round(last * n / max(1, ticks - 1)) for n in range(ticks)})
    dates = [runs[i].record.started[5:10] for i in labeled]
    axes.set_xticks(labeled, labels=dates, parse_math=False)
    axes.set_xlim(-0.7, last + 0.7)
    axes.tick_params(colors=MUTED, length=0, labelsize=9, pad=5)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["bottom"].set_visible(True)
    axes.locator_params(axis="y", nbins=4)
