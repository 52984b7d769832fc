"""Pictures (PNG, JPEG, TIFF, GIF, BMP) to text by Tesseract, page by page."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lexveil.nlp.readers import ocr
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_PIXELS = 100_000_000  # of a page: A4 has 8.7 million at 300 dots per inch
_MAX_PAGES = 2000
_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM")
_MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM")
_DPI = (50, 1200)  # plausible resolutions
_WHITE = 255


def read(data: bytes, limits: Limits) -> str:
    """Read the text of a picture.

    Raises:
        UnreadableError: needs_ocr (Tesseract is not installed, or not wanted), wrong_suffix, broken,
            decompression_bomb, too_many_parts (pages).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=_FORMATS) as picture,
        ):
            _check_size(picture)
            if not limits.ocr or not ocr.is_available():
                raise UnreadableError(Reason.needs_ocr)
            return "\n\n".join(_recognize(page) for page in _iter_pages(picture))
    except UnidentifiedImageError:
        is_damaged = data.startswith(_MAGICS)
        raise UnreadableError(Reason.broken if is_damaged else Reason.wrong_suffix) from None
    except Image.DecompressionBombError:
        raise UnreadableError(Reason.decompression_bomb) from None
    except (OSError, SyntaxError, ValueError, EOFError):
        raise UnreadableError(Reason.broken) from None


def _iter_pages(picture: Image) -> Iterator[Image]:
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1  # others are animated
    if pages > _MAX_PAGES:
        raise UnreadableError(Reason.too_many_parts)
    for number in range(pages):
        picture.seek(number)
        _check_size(picture)
        yield picture


def _check_size(picture: Image) -> None:
    if picture.width * picture.height > _MAX_PIXELS:
        raise UnreadableError(Reason.decompression_bomb)


def _recognize(page: Image) -> str:
    from PIL import Image

    shown = page.convert("RGBA")  # transparent areas become white, as on paper
    paper = Image.new("RGBA", shown.size, (_WHITE, _WHITE, _WHITE, _WHITE))
    gray = Image.alpha_composite(paper, shown).convert("L")
    resolution = float(page.info.get("dpi", (0, 0))[0] or 0)
    if _DPI[0] <= resolution < ocr.DPI:
        scale = ocr.DPI / resolution
        gray = gray.resize((round(gray.width * scale), round(gray.height * scale)))
    return ocr.recognize_text(gray.tobytes(), gray.width, gray.height)
