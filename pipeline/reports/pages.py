"""Templates of pages, and formats of numbers."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


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
