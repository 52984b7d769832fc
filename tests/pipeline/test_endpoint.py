"""Classification through a real server gives the labels that the plain model gives."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from fixtures.documents import documents
from nlp.encoders.documents import extract
from pipeline.endpoint import classify_file, served_head
from pipeline.errors import ServingProblem, SourceError, TrainingRefused
from pipeline.models import find_model
from pipeline.serving.server import create_app
from pipeline.settings import MaskSettings, load_settings
from pipeline.stages.encode import encode_texts
from pipeline.stages.extract import open_model
from pipeline.stages.mask import mask_texts

WriteJsonl = Callable[..., Path]
ROWS = [{"id": d.id, "text": d.text} for d in documents(5, 21)]


@pytest.fixture(scope="module")
def endpoint(finished_once: Any) -> Iterator[str]:
    saved = find_model(finished_once.workspace, "linear")
    head = served_head(open_model(saved.folder, finished_once.settings), saved.folder, saved.name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(head), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_the_same_labels_as_the_plain_model(
    finished_once: Any, endpoint: str, write_jsonl: WriteJsonl, tmp_path: Path
) -> None:
    settings = finished_once.settings
    told = classify_file(write_jsonl(ROWS), tmp_path / "out.jsonl", endpoint, load_settings())
    model = open_model(find_model(finished_once.workspace, "linear").folder, settings)
    masked = [outcome.text for outcome in mask_texts([row["text"] for row in ROWS], MaskSettings())]
    logits = extract(model, encode_texts(masked, settings.train, "embedding")).logits
    plain = [model.config.labels[place] for place in logits.argmax(axis=1)]
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found == [{"id": row["id"], "label": label} for row, label in zip(ROWS, plain, strict=True)]
    assert told == {"documents": 5, "unreadable": 0, "output": str(tmp_path / "out.jsonl")}


def test_what_cannot_be_read_is_counted(endpoint: str, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps(ROWS[0]) + "\n{broken\n", encoding="utf-8")
    told = classify_file(source, tmp_path / "out.jsonl", endpoint, load_settings())
    assert (told["documents"], told["unreadable"]) == (1, 1)


def test_nothing_to_classify(endpoint: str, write_jsonl: WriteJsonl, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no readable document"):
        classify_file(write_jsonl([{"text": ""}]), tmp_path / "out.jsonl", endpoint, load_settings())
    assert not (tmp_path / "out.jsonl").exists()


def test_nobody_listens(write_jsonl: WriteJsonl, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ServingProblem) as caught:
        classify_file(write_jsonl(ROWS), tmp_path / "out.jsonl", f"http://127.0.0.1:{port}", load_settings())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_no_model_to_serve(masked: Any) -> None:
    from pipeline.endpoint import serve_model

    with pytest.raises(TrainingRefused, match="lexveil train"):
        serve_model(masked, load_settings(), None)
