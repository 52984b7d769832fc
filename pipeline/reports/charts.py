"""Drawings of pages: bars and lines as inline SVG, in the colors of the page's style sheet (`page.css.j2`).

A drawing library costs every run two seconds for them. Text stays text, nothing is loaded from the network,
and equal data give equal bytes. Lengths are in units of the drawing, which is `WIDTH` wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

INK, MUTED, LINE, ACCENT, SOFT, ALARM = (
    f"var(--{name})" for name in ("ink", "muted", "line", "accent", "soft", "alarm")
)
WIDTH = 460.0  # about the width on the page in pixels, so that text keeps its size
TEXT, SMALL = 10.5, 9.0  # sizes of text
DASHED = "4 3"
_MARGIN = 4.0
_GAP = 5.0  # between a text and what it belongs to
_LETTER = 0.66  # width of a letter, as a share of the size: of capitals, the widest
_BAR = 0.62  # share of its row that a bar takes
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """The way from values to positions.

    Attributes:
        low: value at `start`.
        high: value at `end`.
        start: position of `low`.
        end: position of `high`; less than `start` for an axis that points up.
        logarithmic: True if equal ratios, not equal differences, have equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Panel:
    """An area with two axes."""

    x: Axis
    y: Axis

    def at(self, points: Iterable[Point]) -> list[Point]:
        """Return the positions of points."""
        return [(self.x.at(x), self.y.at(y)) for x, y in points]


def render(height: float, alt: str, parts: Iterable[Markup]) -> Markup:
    """Render parts as one drawing.

    Args:
        height: height of the drawing.
        alt: text alternative.
        parts: what is drawn, the lowest first.
    """
    head = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}">')
    return head.format(alt, _number(WIDTH), _number(height)) + Markup("").join(parts) + Markup("</svg>")


def draw_line(points: Sequence[Point], color: str, width: float = 1.0, dash: str = "") -> Markup:
    """Draw a line through positions."""
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    style = f"fill:none;stroke:{color};stroke-width:{width}" + (f";stroke-dasharray:{dash}" if dash else "")
    return Markup('<polyline points="{}" style="{}"/>').format(path, style)


def draw_dots(points: Iterable[Point], color: str, radius: float) -> Markup:
    """Draw a dot at each position."""
    dot = Markup('<circle cx="{}" cy="{}" r="{}" style="fill:{}"/>')
    return Markup("").join(dot.format(_number(x), _number(y), radius, color) for x, y in points)


def draw_bar(corners: Iterable[Point], color: str, opacity: float = 1.0) -> Markup:
    """Draw a rectangle between two opposite corners."""
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(*corners, strict=True))
    bar = Markup('<rect x="{}" y="{}" width="{}" height="{}" style="fill:{};fill-opacity:{}"/>')
    return bar.format(*map(_number, (left, top, right - left, bottom - top)), color, opacity)


def draw_text(
    at: Point, text: str, color: str = INK, size: float = TEXT, anchor: str = "start", *, upward: bool = False
) -> Markup:
    """Write a text, the middle of its letters at the height of a position; `upward` turns it to the left."""
    x, y = map(_number, at)
    turned = Markup(' transform="rotate(-90 {} {})"').format(x, y) if upward else Markup("")
    style = f"fill:{color};font-size:{size}px;text-anchor:{anchor};dominant-baseline:central"
    return Markup('<text x="{}" y="{}"{} style="{}">{}</text>').format(x, y, turned, style, text)


def measure_text(text: str, size: float = TEXT) -> float:
    """Return the width of a text, rather too large than too small."""
    return size * sum(1.0 if ord(letter) > 0x2E7F else _LETTER for letter in text)


def shorten_label(label: str) -> str:
    """Shorten a label to fit next to a bar."""
    return label if len(label) <= 26 else f"{label[:25]}…"


def draw_rows(
    labels: Sequence[str],
    values: Sequence[float],
    notes: Sequence[str],
    colors: Sequence[str],
    high: float,
    above: float = 0.0,
) -> tuple[list[Markup], Axis, float]:
    """Draw horizontal bars, the first at the top, each between its label and a note.

    Args:
        labels: text before each bar.
        values: lengths of the bars.
        notes: text behind each bar.
        colors: colors of the bars.
        high: value of the right border.
        above: height that stays free above the bars.

    Returns:
        What was drawn, the axis of the values, and the height of the drawing.
    """
    row = TEXT * 1.95
    shown = [shorten_label(label) for label in labels]
    left = _MARGIN + max(map(measure_text, shown), default=0.0) + _GAP
    axis = Axis(0.0, high, left, WIDTH - _MARGIN)
    parts: list[Markup] = []
    for number, (label, value, note, color) in enumerate(zip(shown, values, notes, colors, strict=True)):
        middle = above + _MARGIN + (number + 0.5) * row
        half = row * _BAR / 2
        parts.append(draw_text((left - _GAP, middle), label, anchor="end"))
        parts.append(draw_bar([(left, middle - half), (axis.at(value), middle + half)], color))
        parts.append(draw_text((axis.at(value) + _GAP, middle), note))
    return parts, axis, above + 2 * _MARGIN + len(shown) * row


def draw_scale(panel: Panel, label: str = "", size: float = SMALL) -> list[Markup]:
    """Draw the values of the vertical axis with their grid, and the line at the bottom.

    Args:
        panel: the panel.
        label: what the values are; it stands at the left border of the drawing.
        size: size of the text.
    """
    left, right = panel.x.start, panel.x.end
    parts: list[Markup] = []
    if label:
        beside = (_MARGIN + TEXT / 2, (panel.y.start + panel.y.end) / 2)
        parts.append(draw_text(beside, label, MUTED, anchor="middle", upward=True))
    for value, text in list_ticks(panel.y):
        y = panel.y.at(value)
        parts.append(draw_line([(left, y), (right, y)], LINE, 0.8))
        parts.append(draw_text((left - _GAP, y), text, MUTED, size, "end"))
    return [*parts, draw_line([(left, panel.y.start), (right, panel.y.start)], LINE)]


def draw_marks(panel: Panel, marks: Iterable[tuple[float, str]], size: float = SMALL) -> list[Markup]:
    """Write texts below the horizontal axis."""
    y = panel.y.start + _GAP + size / 2
    return [draw_text((panel.x.at(value), y), text, MUTED, size, "middle") for value, text in marks]


def draw_legend(entries: Iterable[tuple[str, str, float]], size: float = SMALL) -> tuple[list[Markup], float]:
    """Draw what the colors mean, in as many rows as it takes.

    Args:
        entries: text, color and opacity of each.
        size: size of the text.

    Returns:
        What was drawn, at the top of the drawing, and its height.
    """
    parts: list[Markup] = []
    x, y = _MARGIN, _MARGIN + size / 2
    for text, color, opacity in entries:
        width = size + _GAP + measure_text(text, size) + 2 * _GAP
        if x > _MARGIN and x + width > WIDTH:
            x, y = _MARGIN, y + 1.6 * size
        parts.append(draw_bar([(x, y - size / 2), (x + size, y + size / 2)], color, opacity))
        parts.append(draw_text((x + size + _GAP, y), text, size=size))
        x += width
    return parts, (y + size if parts else 0.0)


def list_ticks(axis: Axis, most: int = 4) -> list[tuple[float, str]]:
    """Return round values on an axis and their texts: at most `most` intervals, or powers of ten."""
    if axis.logarithmic:
        powers = range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1)
        return [(10.0**power, f"{10**power:,}") for power in powers if power >= 0]
    least = (axis.high - axis.low) / most
    unit = 10.0 ** math.floor(math.log10(least))
    times = next(times for times in _STEPS if times * unit >= least * (1 - 1e-9))
    step = times * unit
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (times == 2.5))
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    return [(n * step, f"{n * step:,.{digits}f}") for n in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
