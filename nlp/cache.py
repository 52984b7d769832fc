"""The user's cache: files that can be computed again from public material. No document ever reaches it."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/lexveil`, by default `~/.cache/lexveil`.

    For a user without a home it is a place where nothing is and nothing can be written.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "lexveil"
    except RuntimeError:
        return Path(os.devnull, "lexveil")


def write_cached(path: Path, content: bytes) -> None:
    """Write a file of the cache. It appears complete or not at all, also if two processes write it at once.

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
    if known is None:
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
