"""TODO docstring."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.budget import SpendingPoint, spending_history
from lexveil.privacy.dp.ledger.ledger import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from lexveil.pipeline.maintenance.ledger import open_ledger_for_reading, write_file

DRAWINGS = (".svg", ".png")

_COLOURS = ("#1f5fa8", "#b3541e", "#3d7a3d", "#7a3d74", "#555555")

# Runs that followed each other within minutes are drawn by number: their dates would all be one.
_SHORTEST_SPAN_S = 3600


def draw(workspace: Workspace, target: Path) -> None:
    """Draw what each population has spent over time, beside its limit.

    Raises:
        SettingsError: the name does not end in .svg or .png, or the file can't be written.
    """
    if target.suffix.lower() not in DRAWINGS:
        raise SettingsError(
            f"a drawing ends in {' or '.join(DRAWINGS)}, found {target.suffix or 'no ending'}"
        )
    with open_ledger_for_reading(workspace) as ledger:
        entries = ledger.entries()
        lines = [(population, spending_history(entries, population)) for population in ledger.populations()]
    import io

    import matplotlib
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lexveil"}):
        drawing = Figure(figsize=(8, 4.2), layout="constrained")
        axes = drawing.add_subplot()
        _draw_lines(axes, [line for line in lines if line[1]])
        buffer = io.BytesIO()
        drawing.savefig(buffer, format=target.suffix[1:].lower(), dpi=150)
    write_file(target, buffer.getvalue())


def _draw_lines(axes: Axes, lines: list[tuple[Population, tuple[SpendingPoint, ...]]]) -> None:
    times = [datetime.fromisoformat(moment.at) for _, moments in lines for moment in moments]
    dated = bool(times) and (max(times) - min(times)).total_seconds() >= _SHORTEST_SPAN_S
    for number, (population, moments) in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        where: list[Any] = [datetime.fromisoformat(m.at) if dated else m.seq for m in moments]
        name = f"{population.name} (unit {population.unit}, delta {moments[-1].limit.delta:.0e})"
        axes.step(where, [m.spent for m in moments], where="post", color=colour, label=name, marker="o", ms=3)
        limits = [m.limit.epsilon for m in moments]
        axes.step(where, limits, where="post", color=colour, linestyle="--", label="its limit")
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
