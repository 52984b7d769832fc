"""The user's cache: files that can be computed again from public material. No document ever reaches it.

A file that nobody has used for ninety days is removed when another one is written: such as those of other
versions of Lexveil. Other processes may still use another version, so each use of a file is noted in its time
of change, once a day.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray


_DAY = 86400.0  # seconds
_UNUSED_DAYS = 90
# Names of files that this version or an earlier one has written; nothing else in the folder is touched.
_OURS = re.compile(
    r"shapes-[0-9a-f]{32}\.json|languages-[\w.+-]+\.safetensors|[0-9a-f]{32}\.(npy|onnx)|"
    r"code-[0-9a-f]{16}-[\w.]+|tmp\w+\.partial"
)


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/lexveil`, by default `~/.cache/lexveil`.

    For a user without a home it is a place where nothing is and nothing can be written.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "lexveil"
    except RuntimeError:
        return Path(os.devnull, "lexveil")


def mark_used(path: Path) -> None:
    """Note that a file of the cache was used, so that it is not removed, if the cache can be written."""
    with suppress(OSError):
        if time.time() - path.lstat().st_mtime > _DAY:
            os.utime(path, follow_symlinks=False)


def write_cached(path: Path, content: bytes) -> None:
    """Write a file of the cache. It appears complete or not at all, also if two processes write it at once.

    Files that nobody has used for long are removed.

    Raises:
        OSError: the cache cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    _remove_unused(path.parent)


def _remove_unused(folder: Path) -> None:
    """Remove our files that were last used long ago. A process that has opened one reads it to its end."""
    before = time.time() - _UNUSED_DAYS * _DAY
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                # Not through links: what they lead to is not ours to judge.
                found = entry.stat(follow_symlinks=False)
                if _OURS.fullmatch(entry.name) and stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                    Path(entry.path).unlink()


def compute_once(
    key: str, length: int, dtype: DTypeLike, compute: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """Return a vector that is computed once per user, or in every process if the cache cannot be written.

    Args:
        key: Name in the cache: a digest of everything that determines the vector.
        length: Length of the vector.
        dtype: Type of its elements.
        compute: Computes it.
    """
    import numpy as np

    path = cache_folder() / f"{key}.npy"
    known = _read_vector(path, length, np.dtype(dtype))
    if known is not None:
        mark_used(path)
    else:
        known = compute()
        content = io.BytesIO()
        np.save(content, known, allow_pickle=False)
        with suppress(OSError):
            write_cached(path, content.getvalue())
    return known


def _read_vector(path: Path, length: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Read a vector of the cache; None if there is none of this length, or the file is damaged."""
    import numpy as np

    try:
        with path.open("rb") as file:
            # Not np.load, which opens an archive, too, and then returns something else than an array.
            vector: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, TypeError, EOFError, MemoryError, OverflowError):
        return None
    sound = vector.dtype == dtype and vector.shape == (length,) and bool(np.isfinite(vector).all())
    return vector if sound else None
