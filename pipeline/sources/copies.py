"""Copies of files that cannot be read in place, as temporary files without a name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_CHUNK = 1 << 20  # bytes


def copy_to_nameless_file(source: SupportsRead[bytes], suffixes: Sequence[str], stack: ExitStack) -> Path:
    """Copy a stream to a file that has no name in any folder, and return a path at which it can be read.

    Nothing of it is left when the process ends, however it ends. It takes disk space where temporary files
    are (TMPDIR).

    Args:
        source: the stream.
        suffixes: suffixes of the path: readers look at them.
        stack: closes the file.
    """
    sink = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(source, sink, _CHUNK)
    sink.flush()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-")))
    # Readers open the path more than once. Its own name may name people.
    link = folder / f"object{''.join(suffixes)}"
    link.symlink_to(f"/proc/{os.getpid()}/fd/{sink.fileno()}")  # another process reads it
    return link
