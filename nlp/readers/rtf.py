"""RTF to text, by striprtf. Pictures and embedded objects are dropped."""

from __future__ import annotations

from striprtf.striprtf import rtf_to_text

from lexveil.nlp.readers.contract import Reason, UnreadableError

MAGIC = b"{\\rtf"


def read(data: bytes) -> str:
    """Read the text of an RTF file.

    Raises:
        UnreadableError: wrong_suffix.
    """
    if not data.lstrip().startswith(MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    # The format is ASCII; bytes beyond it are of the charset that the file names.
    return rtf_to_text(data.decode("latin-1"), errors="replace")
