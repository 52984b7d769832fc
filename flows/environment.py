"""The environment of processes that commands start, and how often they look for garbage."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from lexveil.nlp.environment import select_environment

SERVER_VARIABLES = ("PREFECT_*", "SSL_CERT_*")
"""Variables of a Prefect server. It runs no flow, so it needs no key of a workspace."""

GARBAGE_THRESHOLDS = (10_000, 10, 10)
"""Numbers of new objects and of collections before garbage is collected: see `collect_seldom`."""

_LEXVEIL = ("HOME", "XDG_STATE_HOME", "PYTHONPATH", "OMP_NUM_THREADS", "PYTHONUNBUFFERED")


def select_harmless_environment(*names: str) -> dict[str, str]:
    """Return the variables that processes of Lexveil and Prefect need: no key, no address, no credentials.

    Args:
        names: Further variables to return; `*` stands for any characters.
    """
    return select_environment(*_LEXVEIL, *names)


def collect_seldom() -> None:
    """Let this process look for garbage less often than Python's default, which suits small programs.

    While libraries are imported, nothing is garbage, and all objects would be searched nine times: a fifth
    of what it takes to start. Call it only in a process of Lexveil's own.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@contextmanager
def set_environment(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """Set variables for the processes that the block starts; the environment is restored afterwards."""
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
