"""Content-free logging, and the seal around everything a scheduler may record."""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lexveil.pipeline.errors import LexveilError, SourceMissingError, StageError, StorageError
from lexveil.pipeline.outages import STORAGE_FAILED, describe_outage

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("lexveil")

# Libraries that may put text, paths or arguments into their messages.
_TALKATIVE = ("presidio-analyzer", "presidio_analyzer", "spacy", "transformers", "eyecite", "pypdfium2")


def seal_errors(stage: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only content-free errors out of a function.

    Lexveil's own errors hold no content and pass, but for the path of a source: it may tell a client's name.
    A failing object store is told as one. Any other
    exception is replaced by `StageError("stage: TypeName")` without its message, arguments or traceback
    chain: a library's message can quote the text it choked on, and Prefect writes exception messages into
    five of its tables.
    """

    def seal(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except SourceMissingError:
                clean: LexveilError = SourceMissingError(
                    "a source can't be found or read, or has gone meanwhile; `lexveil run` names it"
                )
            except LexveilError as error:
                clean = error
            except Exception as error:
                if os.environ.get("LEXVEIL_DEBUG") == "unsafe":
                    raise
                told = describe_outage(error)
                clean = (
                    StageError(f"{stage}: {type(error).__name__}")
                    if told is None
                    else StorageError(f"{STORAGE_FAILED} {told}")
                )
            # Raised out here, and without what it came of: `from None` only hides that from a traceback, and
            # Dask has exceptions pickled with it, into files that Prefect keeps.
            clean.__cause__ = clean.__context__ = None
            raise clean

        return guarded

    return seal


def set_up_logging(verbose: bool = False) -> None:
    """Log Lexveil's own content-free events to stderr, and keep the libraries quiet."""
    logging.captureWarnings(True)
    warnings.simplefilter("ignore")
    for name in (*_TALKATIVE, "py.warnings"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.propagate = False
