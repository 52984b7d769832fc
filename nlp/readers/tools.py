"""Programs that read rare formats, if they are installed: antiword and wpd2text.

A program gets the file in a temporary folder, and is ended after a minute.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lexveil.nlp.environment import select_environment
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError

_TIMEOUT_SECONDS = 60


def run(command: Sequence[str], data: bytes, suffix: str, limits: Limits) -> str:
    """Run a program on a file, and return what it prints.

    Args:
        command: Program and arguments; the name of the file follows them.
        data: Content of the file.
        suffix: Suffix of its name.
        limits: Bounds on what is accepted.

    Raises:
        UnreadableError: unsupported (the program is not installed), broken (it failed), decompression_bomb.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UnreadableError(Reason.unsupported)
    output: bytes | None = None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, f"document{suffix}"), Path(folder, "text")
        source.write_bytes(data)
        # The error is raised below instead: the subprocess's own exception may contain text.
        with contextlib.suppress(OSError, subprocess.SubprocessError), target.open("wb") as out:
            subprocess.run(
                [program, *command[1:], source.name],
                cwd=folder,
                env={**select_environment(), "HOME": folder, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                timeout=_TIMEOUT_SECONDS,
                check=True,
            )
            with target.open("rb") as printed:
                output = printed.read(limits.max_text_bytes + 1)
    if output is None:
        raise UnreadableError(Reason.broken)
    if len(output) > limits.max_text_bytes:
        raise UnreadableError(Reason.decompression_bomb)
    return output.decode("utf-8", "replace")
