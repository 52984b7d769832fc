"""Optical character recognition by Tesseract, as a subprocess, if it is installed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from functools import cache

from lexveil.nlp.environment import select_environment
from lexveil.nlp.readers.contract import Reason, UnreadableError

DPI = 300
_PAGE_TIMEOUT_SECONDS = 180
# Every additional language makes recognition slower and less accurate, so only those likely in case files.
_LANGUAGES = ("eng", "chi_sim", "deu", "fra", "spa", "ita", "por", "pol")


def is_available() -> bool:
    """Return True if Tesseract is installed."""
    return shutil.which("tesseract") is not None


@cache
def _installed_languages(program: str) -> str:
    listed = subprocess.run(
        [program, "--list-langs"],
        capture_output=True,
        timeout=30,
        check=False,
        env=select_environment("TESSDATA_PREFIX"),
    )
    installed = listed.stdout.decode("ascii", "ignore").split()
    return "+".join([name for name in _LANGUAGES if name in installed]) or "eng"


def recognize_text(pixels: bytes, width: int, height: int) -> str:
    """Recognize the text in a grayscale picture with a resolution of `DPI`.

    Args:
        pixels: One byte per pixel, row by row: `width * height` bytes.
        width: Width in pixels.
        height: Height in pixels.

    Raises:
        UnreadableError: needs_ocr, if Tesseract is not installed, fails, or takes more than three minutes.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise UnreadableError(Reason.needs_ocr)
    picture = b"P5\n%d %d\n255\n" % (width, height) + pixels
    # One thread: more would compete with the other shards for the cores.
    environment = {**select_environment("TESSDATA_PREFIX"), "OMP_THREAD_LIMIT": "1"}
    completed = None
    # The error is raised below instead: the subprocess's own exception contains the page's text.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        completed = subprocess.run(
            [program, "stdin", "stdout", "-l", _installed_languages(program), "--dpi", str(DPI)],
            input=picture,
            capture_output=True,
            timeout=_PAGE_TIMEOUT_SECONDS,
            env=environment,
            check=True,
        )
    if completed is None:
        raise UnreadableError(Reason.needs_ocr)
    return completed.stdout.decode("utf-8", "replace").replace("\f", "\n")
