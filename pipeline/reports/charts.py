"""Formats of numbers and drawings of pages: inline SVG that loads nothing from the network.

A drawing refers to colors of the page's style sheet (`page.css.j2`), so that it fits the light and the dark
page.
"""

from __future__ import annotations

import functools
import io
import math
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The drawing library gets the placeholders, the page the names of its style sheet.
_COLORS = {
    "#0a0b01": "var(--ink)",
    "#0a0b02": "var(--muted)",
    "#0a0b03": "var(--line)",
    "#0a0b04": "var(--accent)",
    "#0a0b05": "var(--soft)",
    "#0a0b06": "var(--alarm)",
}
INK, MUTED, LINE, ACCENT, SOFT, ALARM = _COLORS
# Colors of lines in a drawing that is a file, without a style sheet.
FILE_COLORS = ("#1f5fa8", "#b3541e", "#3d7a3d", "#7a3d74", "#555555")
_PANEL_MARGINS = (0.46, 0.08, 0.24, 0.28)  # inches: left, right, above, below
WIDTH = 6.4  # inches of 72 units: about the width on the page, so that text keeps its size


@functools.cache
def get_templates() -> Environment:
    """Return the templates of this package. Strings are escaped; an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": format_count, "figure": format_figure, "percent": format_percent}
    return environment


def format_count(number: int) -> str:
    """Format an integer: `12345` -> `12,345`."""
    return f"{number:,}"


def format_figure(number: float) -> str:
    """Format a number with four significant digits: `1e-05` -> `1e-5`."""
    return re.sub(r"e([+-])0+", r"e\1", f"{number:.4g}")


def format_percent(share: float, up: bool = False) -> str:
    """Format a share in percent, rounded down, so that 100 % means all; upper bounds are rounded `up`."""
    hundredths = round(share * 10_000, 6)
    return f"{(math.ceil(hundredths) if up else math.floor(hundredths)) / 100:.4g} %"


@contextmanager
def drawing_style(font_size: float = 10.5) -> Generator[None, None, None]:
    """Set Matplotlib's style: text stays text in SVG, and the output is deterministic."""
    from lexveil.nlp.cache import cache_folder

    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # its list of fonts
    import matplotlib

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lexveil", "font.size": font_size}
    with matplotlib.rc_context(style):
        yield


def shorten_label(label: str) -> str:
    """Shorten a label to fit next to a bar."""
    return label if len(label) <= 26 else f"{label[:25]}…"


def create_drawing(height: float) -> tuple[Figure, Axes]:
    """Create an empty drawing of the page's width; `height` in inches."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    drawing.patch.set_visible(False)
    return drawing, _remove_frame(drawing.add_subplot())


def create_panels(number: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Create a drawing of small panels, `height` inches each, with room for a title and short labels."""
    from matplotlib.figure import Figure

    rows = -(-number // columns)
    # Not a constrained layout, which draws twice as many axes: it would take a third of the time.
    drawing = Figure(figsize=(WIDTH, rows * height))
    drawing.patch.set_visible(False)
    left, right, above, below = _PANEL_MARGINS
    width = WIDTH / columns - left - right
    drawing.subplots_adjust(
        left=left / WIDTH,
        right=1 - right / WIDTH,
        bottom=below / (rows * height),
        top=1 - above / (rows * height),
        wspace=(left + right) / width,
        hspace=(above + below) / (height - above - below),
    )
    return drawing, [_remove_frame(drawing.add_subplot(rows, columns, i + 1)) for i in range(number)]


def _remove_frame(axes: Axes) -> Axes:
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
        spine.set_color(LINE)
    return axes


def draw_bars(axes: Axes, labels: Sequence[str], values: Sequence[float], colors: Sequence[str]) -> None:
    """Draw horizontal bars, the first at the top."""
    rows = range(len(labels))
    axes.barh(rows, values, color=list(colors), height=0.62)
    # A dollar sign would start a formula.
    axes.set_yticks(rows, labels=[shorten_label(label) for label in labels], parse_math=False, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.set_ylim(len(labels) - 0.5, -0.5)


def render_svg(drawing: Figure, name: str, alt: str) -> Markup:
    """Render a drawing as inline SVG, with colors of the page's style sheet.

    Args:
        drawing: the drawing.
        name: prefix of its ids, which makes them unique on the page.
        alt: text alternative.
    """
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for placeholder, color in _COLORS.items():
        svg = svg.replace(placeholder, color)
    head = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return head + Markup(svg.removeprefix("<svg "))  # noqa: S704  escaped by the drawing library
