"""WPD, of WordPerfect, to text by wpd2text (libwpd), if it is installed."""

from __future__ import annotations

from lexveil.nlp.readers import tools
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError

_MAGIC = b"\xffWPC"


def read(data: bytes, limits: Limits) -> str:
    """Read the text of a WPD file.

    Raises:
        UnreadableError: wrong_suffix, unsupported (wpd2text is not installed), broken, decompression_bomb.
    """
    if not data.startswith(_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    return tools.run(("wpd2text",), data, ".wpd", limits)
