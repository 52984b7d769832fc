"""The history page: all runs of a workspace beside each other, so that a batch unlike the others is seen.

It is made like the report: one HTML file without network or script, given counts only. All of it was measured
on private documents without noise, so all of it stays inside.
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
    Past,
    past_runs,
)
from lexveil.pipeline.monitoring.drift import ALARMS, FEWEST_OWNERS, WINDOW
from lexveil.pipeline.reports.charts import (
    ACCENT,
    ALARM,
    INK,
    LINE,
    MUTED,
    SOFT,
    canvas,
    drawing_style,
    figure,
    pages,
    panels,
    svg,
)
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHARES = (QUARANTINED, REVIEW, HELD_BACK)
_MOST_TYPES = 12
_COLUMNS = 3
_STAGES = ((MUTED, 1.0), (ACCENT, 1.0), (SOFT, 1.0), (INK, 0.75), (ACCENT, 0.5), (MUTED, 0.5), (LINE, 1.0))
_LOG_FROM = 20
_DOTS_UP_TO = 25


def history_path(workspace: Workspace) -> Path:
    """Where the page lies."""
    return workspace.runs / "history.html"


def write_history(workspace: Workspace) -> Path:
    """Write the page over all finished runs, whole or not at all, readable by its owner only (mode 0600)."""
    path = history_path(workspace)
    write_bytes(path, render_history(past_runs(workspace)).encode(), mode=0o600)
    return path


@dataclass(frozen=True, slots=True)
class _Series:
    """One figure over the runs: what was found, the band that was expected, and where it stood out.

    None where a run brought too little to say.
    """

    name: str
    found: list[float | None]
    low: list[float | None]
    high: list[float | None]
    unlike: list[bool]


def render_history(runs: Sequence[Past]) -> str:
    """The page as HTML; `runs`, the oldest first. Strings are escaped."""
    rows = [_row(run) for run in runs]
    flagged = [row for row in reversed(rows) if row["unlike"]]
    return (
        pages()
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
            **_plots(runs),
        )
    )


def _row(run: Past) -> dict[str, Any]:
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
        "enough": batch.enough,
        "seconds": sum(record.seconds.values()),
        "epsilon": record.ledger.total,
        "unlike": [_told(run, name) for name in sorted(batch.unlike)],
    }


def _told(run: Past, name: str) -> str:
    """What stands out in a run, and by how much."""
    if name == FEATURES:
        distance = run.record.batch.distance
        assert distance is not None
        return f"features: distance {figure(distance.value)}, up to {figure(distance.limit)} was seen"
    rate, low, high = run.record.batch.expected[name]
    expected = f"{figure(low)} to {figure(high)} expected, usually {figure(rate)}"
    return f"{name}: {figure(run.batch.rate(name))} a document, {expected}"


def _plots(runs: Sequence[Past]) -> dict[str, Markup | None]:
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
            "batches_plot": _batches_plot(runs),
            "shares_plot": _rates_plot(runs, _SHARES, "shares"),
            "spans_plot": _rates_plot(runs, types[:_MOST_TYPES], "types") if types else None,
            "distance_plot": _distance_plot(runs),
            "epsilon_plot": _epsilon_plot(runs),
            "seconds_plot": _seconds_plot(runs),
        }


def _series(runs: Sequence[Past], name: str) -> _Series:
    series = _Series(name, [], [], [], [])
    for run in runs:
        batch, expected = run.batch, run.record.batch.expected.get(name)
        series.found.append(batch.rate(name) if batch.documents else None)
        series.low.append(expected[1] if expected else None)
        series.high.append(expected[2] if expected else None)
        series.unlike.append(name in batch.unlike)
    return series


def _batches_plot(runs: Sequence[Past]) -> Markup:
    drawing, axes = canvas(1.9)
    sizes = [run.batch.documents for run in runs]
    colours = [ALARM if run.batch.unlike else ACCENT for run in runs]
    axes.bar(range(len(runs)), sizes, color=colours, width=0.7 if len(runs) > 3 else 0.3)
    _over_runs(axes, runs)
    if max(sizes) > _LOG_FROM * max(1.0, median(sizes)):  # a first load beside nights
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.tick_params(which="minor", length=0)
    axes.set_ylabel("new documents", color=MUTED)
    unlike = sum(bool(run.batch.unlike) for run in runs)
    alt = f"Bar chart of new documents in {len(runs)} runs, {sizes[-1]} in the last; {unlike} unlike others."
    return svg(drawing, "batches", alt)


def _rates_plot(runs: Sequence[Past], names: Sequence[str], what: str) -> Markup:
    """A small drawing for each rate: what was found as a line, what was expected as a band."""
    drawing, grid = panels(len(names), _COLUMNS, 1.35)
    for axes, series in zip(grid, (_series(runs, name) for name in names), strict=True):
        _draw_series(axes, series)
        _over_runs(axes, runs, ticks=2)
        axes.set_title(series.name, fontsize=9, color=INK, loc="left", parse_math=False)
    last = ", ".join(f"{name} {figure(runs[-1].batch.rate(name))}" for name in names)
    return svg(
        drawing, what, f"Line charts over {len(runs)} runs, one each; in the last run, a document: {last}."
    )


def _draw_series(axes: Axes, series: _Series) -> None:
    bands = [
        (place, low, high)
        for place, (low, high) in enumerate(zip(series.low, series.high, strict=True))
        if low is not None and high is not None
    ]
    for place, low, high in bands:
        axes.fill_between([place - 0.5, place + 0.5], low, high, color=SOFT, alpha=0.35, linewidth=0)
    known = [(place, value) for place, value in enumerate(series.found) if value is not None]
    dots = "o" if len(known) <= _DOTS_UP_TO else None
    axes.plot(*_columns(known), color=ACCENT, linewidth=1.4, marker=dots, markersize=2.5)
    out = [(place, value) for place, value in known if series.unlike[place]]
    axes.plot(*_columns(out), color=ALARM, marker="o", markersize=5, linestyle="none")
    axes.set_ylim(0, 1.1 * max([0.01, *(value for _, value in known), *(high for _, _, high in bands)]))


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [place for place, _ in points], [value for _, value in points]


def _distance_plot(runs: Sequence[Past]) -> Markup | None:
    found = [run.record.batch.distance for run in runs]
    if not any(found):
        return None
    distances = _Series(
        FEATURES,
        [entry and entry.value for entry in found],
        [entry and 0.0 for entry in found],
        [entry and entry.limit for entry in found],
        [FEATURES in run.batch.unlike for run in runs],
    )
    drawing, axes = canvas(1.9)
    _draw_series(axes, distances)
    _over_runs(axes, runs)
    axes.set_ylabel("distance", color=MUTED)
    known = [entry.value for entry in found if entry]
    return svg(
        drawing,
        "distance",
        f"Line chart of the distance of features in {len(known)} runs, the last {figure(known[-1])}.",
    )


def _epsilon_plot(runs: Sequence[Past]) -> Markup:
    spent = [run.record.ledger.total for run in runs]
    limits = [run.record.ledger.limit for run in runs]
    drawing, axes = canvas(1.9)
    places = range(len(runs))
    dots = "o" if len(runs) <= _DOTS_UP_TO else None
    axes.step(places, spent, where="post", color=ACCENT, linewidth=1.8, marker=dots, markersize=3)
    axes.step(
        places,
        limits,
        where="post",
        color=ALARM,
        linewidth=1.5,
        linestyle=(0, (4, 3)),
        marker="_" if len(runs) == 1 else None,
    )
    axes.set_ylim(0, 1.15 * max(*spent, *limits))
    _over_runs(axes, runs)
    axes.set_ylabel("epsilon", color=MUTED)
    return svg(
        drawing, "epsilon", f"Line chart of epsilon: {figure(spent[-1])} spent, limit {figure(limits[-1])}."
    )


def _seconds_plot(runs: Sequence[Past]) -> Markup:
    stages = list(dict.fromkeys(stage for run in runs for stage in run.record.seconds))
    drawing, axes = canvas(2.2)
    below = [0.0] * len(runs)
    for number, stage in enumerate(stages):
        seconds = [run.record.seconds.get(stage, 0.0) for run in runs]
        colour, alpha = _STAGES[number % len(_STAGES)]
        axes.bar(
            range(len(runs)),
            seconds,
            bottom=below,
            color=colour,
            alpha=alpha,
            width=0.7 if len(runs) > 3 else 0.3,
            label=stage,
        )
        below = [low + more for low, more in zip(below, seconds, strict=True)]
    _over_runs(axes, runs)
    axes.set_ylabel("seconds", color=MUTED)
    if stages:
        legend = drawing.legend(
            loc="outside upper left", ncols=6, frameon=False, fontsize=9, labelcolor=INK, handlelength=1
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return svg(
        drawing,
        "seconds",
        f"Bars of seconds by stage over {len(runs)} runs, {figure(below[-1])} in the last.",
    )


def _over_runs(axes: Axes, runs: Sequence[Past], ticks: int = 6) -> None:
    """The runs along the bottom, some of them by date."""
    last = len(runs) - 1
    places = sorted({round(last * n / max(1, ticks - 1)) for n in range(ticks)})
    axes.set_xticks(places, labels=[runs[place].record.started[5:10] for place in places], parse_math=False)
    axes.set_xlim(-0.7, last + 0.7)
    axes.tick_params(colors=MUTED, length=0, labelsize=9, pad=5)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["bottom"].set_visible(True)
    axes.locator_params(axis="y", nbins=4)
