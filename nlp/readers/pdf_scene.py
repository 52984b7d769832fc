"""The objects drawn on a PDF page, in order: texts, boxes and pictures, also those inside forms."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers.pdf_words import Box

_INVISIBLE = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)
_STROKED = (raw.FPDF_TEXTRENDERMODE_STROKE, raw.FPDF_TEXTRENDERMODE_STROKE_CLIP)
_LINE, _RECTANGLE = 2, 5  # points of a path
_STRAIGHT = 2.5
_OPAQUE = 250
_THIN = 2.5  # points: a rule or an underline covers no text
_MAX_OBJECTS = 100_000
_MAX_VISITED = 2 * _MAX_OBJECTS
_MAX_FORMS = 12  # nested
_LAYER = "OC\0".encode("utf-16-le")

Matrix = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f of PDF: x' = ax + cy + e, y' = bx + dy + f."""
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
Color = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something drawn on a page.

    Attributes:
        handle: PDFium's own handle.
        order: Its place in the order in which the page is drawn.
        box: Its place on the page.
        color: The color it is filled with; of text of outlines, theirs.
        is_picture: Whether it is a picture.
        is_invisible: Whether it is text that may not be seen: in the invisible mode, on a layer that may be
            off, cut off by a clipping path, or behind a soft mask.
    """

    handle: object
    order: int
    box: Box
    color: Color
    is_picture: bool = False
    is_invisible: bool = False


@dataclass(slots=True)
class Scene:
    """What is drawn on a page.

    Attributes:
        frame: What is shown of the page.
        texts: Its texts.
        boxes: What may cover a text: filled areas and pictures.
        paths: Number of lines and areas.
        is_cut: Whether there is more than is listed here.
    """

    frame: Box
    texts: list[Thing] = field(default_factory=list[Thing])
    boxes: list[Thing] = field(default_factory=list[Thing])
    paths: int = 0
    is_cut: bool = False


# What PDFium writes its answers to. Calls are serialized by the lock of the reader.
_EDGES = (ctypes.c_float(), ctypes.c_float(), ctypes.c_float(), ctypes.c_float())
_COMPONENTS = (ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint())


def look(page: pypdfium2.PdfPage, has_layers: bool) -> Scene:
    """Return what is drawn on an open page.

    Args:
        page: An open page.
        has_layers: Whether the document has optional content.
    """
    width, height = page.get_size()
    scene = Scene(page.get_cropbox() or (0.0, 0.0, width, height))
    for order, (handle, matrix, marked) in enumerate(_walk(page, has_layers)):
        if order > _MAX_OBJECTS:
            scene.is_cut = True
            break
        kind = raw.FPDFPageObj_GetType(handle)
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            mode = raw.FPDFTextObj_GetTextRenderMode(handle)
            invisible = marked or mode in _INVISIBLE or _is_clipped(handle)
            color = _get_stroke(handle) if mode in _STROKED else _get_fill(handle)
            scene.texts.append(Thing(handle, order, _get_bounds(handle, matrix), color, False, invisible))
        elif kind == raw.FPDF_PAGEOBJ_IMAGE:
            scene.boxes.append(Thing(handle, order, _get_bounds(handle, matrix), (0, 0, 0, 0), True))
        else:
            scene.paths += kind == raw.FPDF_PAGEOBJ_PATH
            box = _get_bounds(handle, matrix)
            if min(box[2] - box[0], box[3] - box[1]) < _THIN:
                continue
            if _is_filled(handle, kind):
                scene.boxes.append(Thing(handle, order, box, _get_fill(handle)))
            elif kind == raw.FPDF_PAGEOBJ_PATH and (line := _find_line(handle, box)) is not None:
                scene.boxes.append(Thing(handle, order, line, _get_stroke(handle)))
    return scene


def measure_font(handle: object) -> float:
    """Return the size of a text's font in points, as the text itself places it."""
    size = ctypes.c_float()
    raw.FPDFTextObj_GetFontSize(handle, size)
    a, b, c, d, _, _ = _get_matrix(handle)
    return abs(size.value) * abs(a * d - b * c) ** 0.5


def _walk(page: pypdfium2.PdfPage, has_layers: bool) -> Iterator[tuple[object, Matrix, bool]]:
    """Yield the objects of a page in the order in which they are drawn, and of the forms in it.

    Yields:
        The object, the matrix that places it on the page, and whether a layer may hide it.
    """
    stack: list[tuple[object, int, int, Matrix, bool]] = []
    top = page.raw
    visited = 0
    stack.append((top, 0, raw.FPDFPage_CountObjects(top), _IDENTITY, False))
    while stack:
        parent, index, count, matrix, marked = stack.pop()
        get = raw.FPDFPage_GetObject if len(stack) == 0 else raw.FPDFFormObj_GetObject
        while index < count and visited < _MAX_VISITED:
            visited += 1
            handle = get(parent, index)
            index += 1
            if not handle:
                continue
            layered = marked or (has_layers and _has_layer(handle))
            if raw.FPDFPageObj_GetType(handle) != raw.FPDF_PAGEOBJ_FORM:
                yield handle, matrix, layered
            elif len(stack) < _MAX_FORMS:
                stack.append((parent, index, count, matrix, marked))
                inner = _multiply(_get_matrix(handle), matrix)
                marked = has_layers or bool(raw.FPDFPageObj_HasTransparency(handle))
                stack.append((handle, 0, raw.FPDFFormObj_CountObjects(handle), inner, marked))
                break


def _has_layer(handle: object) -> bool:
    """Return True if an object belongs to optional content."""
    name, size = ctypes.create_string_buffer(16), ctypes.c_ulong()
    for index in range(raw.FPDFPageObj_CountMarks(handle)):
        mark = raw.FPDFPageObj_GetMark(handle, index)
        address = ctypes.cast(name, ctypes.POINTER(raw.FPDF_WCHAR))
        if raw.FPDFPageObjMark_GetName(mark, address, len(name), size) and name.raw[: size.value] == _LAYER:
            return True
    return False


def _get_matrix(handle: object) -> Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(handle, found):
        return _IDENTITY
    return found.a, found.b, found.c, found.d, found.e, found.f


def _multiply(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _get_bounds(handle: object, matrix: Matrix) -> Box:
    left, low, right, high = _EDGES
    raw.FPDFPageObj_GetBounds(handle, left, low, right, high)
    box = left.value, low.value, right.value, high.value
    return box if matrix is _IDENTITY else place_box(box, matrix)


def place_box(box: Box, matrix: Matrix) -> Box:
    """Return the box around a box that a matrix moves."""
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
    across = [a * x + c * y + e for x, y in corners]
    up = [b * x + d * y + f for x, y in corners]
    return min(across), min(up), max(across), max(up)


def _is_clipped(handle: object) -> bool:
    """Return True if a clipping path, or a soft mask, may cut off some of a text."""
    if raw.FPDFPageObj_HasTransparency(handle):
        return True
    path = raw.FPDFPageObj_GetClipPath(handle)
    count = raw.FPDFClipPath_CountPaths(path)  # without those that cut off nothing
    if count <= 0:
        return False
    left, low, right, high = _get_bounds(handle, _IDENTITY)
    for number in range(count):
        points = list(_list_points(path, number))
        if len(points) > _RECTANGLE:
            return True
        across, up = zip(*points, strict=True) if points else ((0.0,), (0.0,))
        if min(across) > left or min(up) > low or max(across) < right or max(up) < high:
            return True
    return False


def _list_points(path: object, number: int) -> Iterator[tuple[float, float]]:
    """Yield the points of a clipping path, one more than a rectangle has at most."""
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(min(raw.FPDFClipPath_CountPathSegments(path, number), _RECTANGLE + 1)):
        raw.FPDFPathSegment_GetPoint(raw.FPDFClipPath_GetPathSegment(path, number, index), x, y)
        yield x.value, y.value


def _get_fill(handle: object) -> Color:
    return _get_color(handle, raw.FPDFPageObj_GetFillColor)


def _get_stroke(handle: object) -> Color:
    return _get_color(handle, raw.FPDFPageObj_GetStrokeColor)


def _get_color(handle: object, ask: Callable[..., int]) -> Color:
    red, green, blue, alpha = _COMPONENTS
    if not ask(handle, red, green, blue, alpha):
        return 0, 0, 0, 255
    return red.value, green.value, blue.value, alpha.value


def _find_line(handle: object, box: Box) -> Box | None:
    """Return what a thick straight line covers, such as a stroke over a text; None for anything else.

    Args:
        handle: A path.
        box: The box around it, which PDFium makes wider than the line by its width.
    """
    mode, stroke, width = ctypes.c_int(), ctypes.c_int(), ctypes.c_float()
    raw.FPDFPath_GetDrawMode(handle, mode, stroke)
    if not stroke.value or raw.FPDFPath_CountSegments(handle) != _LINE:
        return None
    raw.FPDFPageObj_GetStrokeWidth(handle, width)
    a, b, c, d, _, _ = _get_matrix(handle)
    wide = width.value * abs(a * d - b * c) ** 0.5
    x0, y0, x1, y1 = box
    is_opaque = not raw.FPDFPageObj_HasTransparency(handle) and _get_stroke(handle)[3] >= _OPAQUE
    if not is_opaque or wide < _THIN or min(x1 - x0, y1 - y0) > _STRAIGHT * wide:
        return None
    across, along = (min(x1 - x0, y1 - y0) - wide) / 2, wide
    if x1 - x0 > y1 - y0:
        return x0 + along, y0 + across, x1 - along, y1 - across
    return x0 + across, y0 + along, x1 - across, y1 - along


def _is_filled(handle: object, kind: int) -> bool:
    if raw.FPDFPageObj_HasTransparency(handle):
        return False
    if kind == raw.FPDF_PAGEOBJ_SHADING:
        return True
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(handle, mode, stroke)
    return mode.value != raw.FPDF_FILLMODE_NONE and _get_fill(handle)[3] >= _OPAQUE
