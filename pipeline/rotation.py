"""Another master key for a workspace, without touching a document."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import tables
from pipeline.errors import KeyProblem
from pipeline.settings import Settings
from pipeline.workspace import Workspace, key_file, key_store, next_key
from privacy.vault import KeyUnusable, MasterKey


@dataclass(frozen=True, slots=True)
class Rotation:
    """`keys`: how many were wrapped anew, those of documents and of purposes."""

    keys: int


def rotate_master_key(workspace: Workspace, settings: Settings) -> Rotation:
    """Make a new master key, wrap all keys by it, and put it in the old one's file.

    Documents are sealed under keys of their own and stay as they are. The old master key opens nothing of
    the workspace any more; backups of the key table it still opens. A kill anywhere leaves one of the two
    keys in use, and the other beside it: `key_store` finds out which, and calling again rotates again.

    Raises:
        KeyProblem: the key doesn't lie in a file that can be written, or can't be used.
    """
    store = key_store(workspace, settings)
    path = key_file(workspace, settings)
    if path is None:
        raise KeyProblem(
            "the master key comes from LEXVEIL_MASTER_KEY: only a key in a file can be rotated here"
        )
    waiting = next_key(path)
    waiting.unlink(missing_ok=True)  # of a rotation that was killed before it began
    try:
        renewed = MasterKey.from_file(waiting)
    except KeyUnusable:
        raise KeyProblem("the folder of the master key can't be written") from None
    count = store.rewrap(renewed)
    waiting.replace(path)
    tables.sync_folder(path.parent)
    return Rotation(count)
