"""Tesseract as a sub-process, where it is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from functools import cache

from lexveil.nlp.readers.contract import Reason, UnreadableError

DPI = 300
_SECONDS_A_PAGE = 180
# Every further language makes recognition slower and worse, so only those that case files are likely in.
_LANGUAGES = ("eng", "chi_sim", "deu", "fra", "spa", "ita", "por", "pol")


def is_available() -> bool:
    return shutil.which("tesseract") is not None


@cache
def _languages(program: str) -> str:
    listed = subprocess.run([program, "--list-langs"], capture_output=True, timeout=30, check=False)
    installed = listed.stdout.decode("ascii", "ignore").split()
    return "+".join([name for name in _LANGUAGES if name in installed]) or "eng"


def read_grey(pixels: bytes, width: int, height: int) -> str:
    """The text of an 8-bit grey picture (`width * height` bytes, row by row) of `DPI` dots an inch.

    Raises UnreadableError(needs_ocr) when Tesseract is absent, fails, or takes more than three minutes.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise UnreadableError(Reason.needs_ocr)
    picture = b"P5\n%d %d\n255\n" % (width, height) + pixels
    # One thread: Tesseract's own threads fight with the other shards for the cores.
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = None
    # Raised below instead: the process's own error holds the page's text.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, "stdin", "stdout", "-l", _languages(program), "--dpi", str(DPI)],
            input=picture,
            capture_output=True,
            timeout=_SECONDS_A_PAGE,
            env=environment,
            check=True,
        )
    if done is None:
        raise UnreadableError(Reason.needs_ocr)
    return done.stdout.decode("utf-8", "replace").replace("\f", "\n")
