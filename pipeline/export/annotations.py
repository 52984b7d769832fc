"""Masked documents with their replacements annotated: spaCy's DocBin, and tasks for Label Studio."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lexveil.pipeline.export.documents import MaskedDocument, read_labels

_PER_FILE = 1000


def write_docbin(documents: Iterable[MaskedDocument], target: Path) -> None:
    """Write a folder of DocBin files: masked spans are entities, classes are `cats`.

    The tokenizer is that of no language in particular: `spacy.blank("xx")`.
    """
    import spacy
    from spacy.tokens import DocBin
    from spacy.util import filter_spans

    pipeline = spacy.blank("xx")
    written, kept = 0, DocBin(store_user_data=True)
    for document in documents:
        pipeline.max_length = max(pipeline.max_length, len(document.text) + 1)
        made = pipeline.make_doc(document.text)
        spans = (
            made.char_span(one.start, one.end, label=one.type, alignment_mode="expand")
            for one in document.replacements
        )
        made.ents = filter_spans([span for span in spans if span is not None])
        made.cats = dict.fromkeys(read_labels(document.row["label"]), 1.0)
        made.user_data["doc_id"] = document.doc_id
        kept.add(made)
        if len(kept) == _PER_FILE:
            kept.to_disk(target / f"{written:05d}.spacy")
            written, kept = written + 1, DocBin(store_user_data=True)
    if len(kept) or not written:
        kept.to_disk(target / f"{written:05d}.spacy")


def write_label_studio(documents: Iterable[MaskedDocument], target: Path) -> None:
    """Write tasks of Label Studio: the masked spans are predictions, to be corrected or completed.

    Offsets count UTF-16 code units, as in Label Studio's editor.
    """
    with target.open("w", encoding="utf-8") as out:
        out.write("[")
        for number, document in enumerate(documents):
            out.write(",\n" if number else "\n")
            json.dump(_make_task(document), out, ensure_ascii=False)
        out.write("\n]\n")


def _make_task(document: MaskedDocument) -> dict[str, Any]:
    text = document.text
    is_plain = text.isascii() or max(text) <= "\uffff"
    result: list[dict[str, Any]] = []
    for number, one in enumerate(document.replacements):
        start, end = (
            place if is_plain else len(text[:place].encode("utf-16-le", "surrogatepass")) // 2
            for place in (one.start, one.end)
        )
        value = {"start": start, "end": end, "text": text[one.start : one.end], "labels": [one.type]}
        result.append(
            {"id": str(number), "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        )
    return {
        "data": {"text": text, "doc_id": document.doc_id, "label": read_labels(document.row["label"])},
        "predictions": [{"model_version": "lexveil", "result": result}],
    }
