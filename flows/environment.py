"""The environment of processes that this one starts: without its secrets, or with more variables."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

# No master key, no address of a database or a key service, no credentials of a cloud.
_HARMLESS = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "XDG_STATE_HOME", "LD_LIBRARY_PATH", "PYTHONPATH",
    "OMP_NUM_THREADS", "PYTHONUNBUFFERED",
)  # fmt: skip

SERVER_PREFIXES = ("PREFECT_", "SSL_CERT_")
"""Begin the names of what a Prefect server is told. It runs no flow, so it needs no key of a workspace."""


def select_environment(*prefixes: str) -> dict[str, str]:
    """Return the variables of the environment that every program needs.

    Args:
        prefixes: the variables whose names begin so are returned, too: the process's own.
    """
    return {
        name: value for name, value in os.environ.items() if name in _HARMLESS or name.startswith(prefixes)
    }


@contextmanager
def set_environment(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """Set these variables for what is started meanwhile. This process's own environment stays as it was."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
