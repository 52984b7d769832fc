"""TODO docstring."""

from __future__ import annotations

UPPER = "".join(c for c in map(chr, range(0x530)) if c.isupper())

LOWER = "".join(c for c in map(chr, range(0x530)) if c.islower())

HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
