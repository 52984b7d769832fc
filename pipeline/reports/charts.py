"""How a page shows figures: words for numbers, and drawings as inline SVG that asks nothing of the network.

A drawing names its colours after the page's style sheet (`page.css.j2`), so that one drawing serves the light
and the dark page.
"""

from __future__ import annotations

import io
import math
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

# The drawing library gets these stand-ins, the page the names of its style sheet.
_INKS = {
    "#0a0b01": "var(--ink)",
    "#0a0b02": "var(--muted)",
    "#0a0b03": "var(--line)",
    "#0a0b04": "var(--accent)",
    "#0a0b05": "var(--soft)",
    "#0a0b06": "var(--alarm)",
}
INK, MUTED, LINE, ACCENT, SOFT, ALARM = _INKS
WIDTH = 6.4  # inches of 72 units: near the width on the page, so that letters keep their size


def pages() -> Environment:
    """The templates of this package. Strings are escaped, an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "figure": figure, "percent": percent}
    return environment


def count(number: int) -> str:
    """`12345` -> `12,345`."""
    return f"{number:,}"


def figure(number: float) -> str:
    """Four significant digits: `1e-05` -> `1e-5`."""
    return re.sub(r"e([+-])0+", r"e\1", f"{number:.4g}")


def percent(share: float, up: bool = False) -> str:
    """A share in percent, rounded down, so that 100 % means every one; a bound is rounded `up`."""
    hundredths = round(share * 10_000, 6)
    return f"{(math.ceil(hundredths) if up else math.floor(hundredths)) / 100:.4g} %"


@contextmanager
def drawing_style() -> Generator[None, None, None]:
    """Letters stay letters, and the same figures give the same bytes."""
    import matplotlib

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lexveil", "font.size": 10.5}
    with matplotlib.rc_context(style):
        yield


def short(label: str) -> str:
    """A label that fits beside a bar."""
    return label if len(label) <= 26 else f"{label[:25]}…"


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty drawing of the page's width, `height` in inches."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    drawing.patch.set_visible(False)
    return drawing, _plain(drawing.add_subplot())


def panels(number: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Small drawings side by side, `height` inches each."""
    rows = -(-number // columns)
    drawing, first = canvas(rows * height)
    first.remove()
    return drawing, [_plain(drawing.add_subplot(rows, columns, place + 1)) for place in range(number)]


def _plain(axes: Axes) -> Axes:
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
        spine.set_color(LINE)
    return axes


def bars(axes: Axes, labels: Sequence[str], values: Sequence[float], colours: Sequence[str]) -> None:
    """Bars from the left, the first on top."""
    rows = range(len(labels))
    axes.barh(rows, values, color=list(colours), height=0.62)
    # A dollar sign would start a formula.
    axes.set_yticks(rows, labels=[short(label) for label in labels], parse_math=False, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.set_ylim(len(labels) - 0.5, -0.5)


def svg(drawing: Figure, name: str, alt: str) -> Markup:
    """Inline SVG with text as text. Ids are made unique to the page, colours left to its style sheet."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for stand_in, ink in _INKS.items():
        svg = svg.replace(stand_in, ink)
    head = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return head + Markup(svg.removeprefix("<svg "))  # noqa: S704  escaped by the drawing library
