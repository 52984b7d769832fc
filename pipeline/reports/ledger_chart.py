"""A drawing of the privacy ledger: what each population has spent over time, and its limit."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.maintenance.ledger import open_ledger_for_reading
from lexveil.pipeline.reports.charts import FILE_COLORS, drawing_style
from lexveil.pipeline.workspace.outputs import write_output
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.budget import SpendingPoint, spending_history
from lexveil.privacy.dp.ledger.ledger import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png")

# Runs within a shorter time are drawn by number, because their dates would all be the same.
_SHORTEST_SPAN_SECONDS = 3600
_FONT_SIZE = 10  # points, Matplotlib's default


def draw_spending(workspace: Workspace, target: Path) -> None:
    """Draw what each population has spent over time, and its limit.

    Args:
        workspace: the workspace.
        target: the file; its suffix decides the format.

    Raises:
        SettingsError: the name does not end in .svg or .png, or the file cannot be written.
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise SettingsError(
            f"the name of a drawing must end in {' or '.join(SUFFIXES)}; this one has "
            f"{target.suffix or 'no suffix'}"
        )
    with open_ledger_for_reading(workspace) as ledger:
        entries = ledger.entries()
        lines = [(population, spending_history(entries, population)) for population in ledger.populations()]
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    with drawing_style(_FONT_SIZE):
        drawing = Figure(figsize=(8, 4.2), layout="constrained")
        axes = drawing.add_subplot()
        _draw_lines(axes, [line for line in lines if line[1]])
        buffer = io.BytesIO()
        drawing.savefig(buffer, format=target.suffix[1:].lower(), dpi=150)
    write_output(target, buffer.getvalue(), mode=0o666)


def _draw_lines(axes: Axes, lines: list[tuple[Population, tuple[SpendingPoint, ...]]]) -> None:
    times = [datetime.fromisoformat(point.at) for _, points in lines for point in points]
    dated = bool(times) and (max(times) - min(times)).total_seconds() >= _SHORTEST_SPAN_SECONDS
    for number, (population, points) in enumerate(lines):
        color = FILE_COLORS[number % len(FILE_COLORS)]
        x: list[Any] = [datetime.fromisoformat(point.at) if dated else point.seq for point in points]
        name = f"{population.name} (unit {population.unit}, delta {points[-1].limit.delta:.0e})"
        spent = [point.spent for point in points]
        axes.step(x, spent, where="post", color=color, label=name, marker="o", ms=3)
        limits = [point.limit.epsilon for point in points]
        axes.step(x, limits, where="post", color=color, linestyle="--", label="its limit")
    axes.set_xlabel("date" if dated else "ledger entry")
    if not dated:
        axes.locator_params(axis="x", integer=True)
    axes.set_ylabel("epsilon")
    axes.set_ylim(bottom=0)
    axes.set_title("What all runs together have spent")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        legend = axes.legend(frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)
