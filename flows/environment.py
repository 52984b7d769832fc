"""The environment of a process that gets no secrets of this one."""

from __future__ import annotations

import os

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
