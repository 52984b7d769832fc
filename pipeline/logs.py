"""Content-free logging, and the seal around everything that a scheduler may record."""

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
_LIBRARIES = (
    "presidio-analyzer",
    "presidio_analyzer",
    "spacy",
    "transformers",
    "eyecite",
    "pypdfium2",
    "matplotlib",  # its folder's path, if it cannot write there
    "absl",  # of dp-accounting: each Renyi order whose series does not converge
)


def seal_errors(stage: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only content-free errors leave a function.

    Lexveil's own errors contain no content and pass, except that of a missing source: its path may contain a
    client's name. A failure of an object store becomes a `StorageError`. Any other exception is replaced by
    `StageError("stage: TypeName")` without its message, arguments or traceback chain: a library's message can
    quote the text it failed on, and Prefect writes exception messages into five of its tables.

    Args:
        stage: name for the message of a `StageError`.
    """

    def seal(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def sealed(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if _is_to_be_shown(error):
                    raise
                clean = _to_clean_error(stage, error)
            # Raised here, and without its cause: `from None` only hides the cause from a traceback, and Dask
            # pickles it with the exception, into files that Prefect keeps.
            clean.__cause__ = clean.__context__ = None
            raise clean

        return sealed

    return seal


def _is_to_be_shown(error: Exception) -> bool:
    return not isinstance(error, LexveilError) and os.environ.get("LEXVEIL_DEBUG") == "unsafe"


def _to_clean_error(stage: str, error: Exception) -> LexveilError:
    if isinstance(error, SourceMissingError):
        return SourceMissingError(
            "a source cannot be found or read, or has disappeared in the meantime; `lexveil run` names it"
        )
    if isinstance(error, LexveilError):
        return error
    outage = describe_outage(error)
    if outage is not None:
        return StorageError(f"{STORAGE_FAILED} {outage}")
    return StageError(f"{stage}: {type(error).__name__}")


def set_up_logging(verbose: bool = False) -> None:
    """Log Lexveil's own content-free events to stderr, and silence the libraries.

    Args:
        verbose: log what is done, not only warnings.
    """
    logging.captureWarnings(True)
    warnings.simplefilter("ignore")
    for name in (*_LIBRARIES, "py.warnings"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.propagate = False
