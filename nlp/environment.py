"""The environment of the programs and processes that Lexveil starts: what they need, and nothing secret."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

_NEEDED = ("PATH", "LANG", "LC_*", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


def select_environment(*names: str) -> dict[str, str]:
    """Return the variables that every program needs: no key, no address, no credentials.

    Args:
        names: Further variables to return; `*` stands for any characters.
    """
    patterns = (*_NEEDED, *names)
    return {
        variable: value
        for variable, value in os.environ.items()
        if any(fnmatchcase(variable, pattern) for pattern in patterns)
    }
