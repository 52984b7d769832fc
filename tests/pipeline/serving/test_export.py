"""The serving bundle follows the workspace: new models are offered, marked ones are taken out."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lexveil.nlp.encoders.storage import read_config
from lexveil.pipeline.errors import EndpointError, TrainingRefusedError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.serving.export import Follower, export_model
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.workspace import tables

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace
    from tests.conftest import Finished


@pytest.fixture
def workspace(finished: Finished) -> Workspace:
    return finished.workspace.with_settings(finished.settings)


@pytest.fixture
def bundle(tmp_path: Path) -> ServingBundle:
    return ServingBundle(tmp_path / "bundle")


def add_model(workspace: Workspace, name: str, created: str) -> None:
    """Add a model of the same weights, as if it had been trained at another moment."""
    folder = workspace.models / name
    shutil.copytree(find_model(workspace, "linear").folder, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(
        json.dumps({**card, "name": name, "reservation": name, "created": created})
    )


def a_document(workspace: Workspace) -> str:
    return tables.to_strings(workspace.catalogue.read(), "doc_id")[0]


def test_it_holds_the_head_and_the_extractor_and_nothing_else(
    workspace: Workspace, bundle: ServingBundle
) -> None:
    listed = export_model(workspace, None, bundle)
    files = {str(path.relative_to(bundle.folder)) for path in bundle.folder.rglob("*") if path.is_file()}
    own = {"offer.json", "head.npz", "extractor/config.json", "extractor/model.safetensors"}
    own.add("extractor/masking.json")
    assert files == {"listing.json", ".lock", *(f"{listed.id}/{name}" for name in own)}
    saved = find_model(workspace, "linear")
    model, offer = open_model(saved.folder, workspace.settings), bundle.load(listed)
    features = np.eye(model.head.in_features)[:5]  # type: ignore[arg-type]
    weight = model.head.weight.detach().numpy().T  # type: ignore[union-attr]
    np.testing.assert_allclose(offer.model.head.logits(features), features @ weight + offer.model.head.bias)  # type: ignore[union-attr]
    assert (tuple(offer.labels), offer.name) == (model.config.labels, saved.name)
    assert offer.extractor_dir is not None
    assert read_config(offer.extractor_dir).labels == model.config.labels


def test_it_follows_what_is_trained_and_what_is_erased(workspace: Workspace, bundle: ServingBundle) -> None:
    lines: list[str] = []
    follower = Follower(workspace, None, bundle, lines.append)
    first = find_model(workspace, "linear").name
    follower.update()
    follower.update()
    add_model(workspace, "linear-later", "2999-01-01T00:00:00+00:00")
    follower.update()
    later, earlier = bundle.list()
    assert (later.model, earlier.model) == ("linear-later", first)
    assert later.since > earlier.since
    marked = erase(workspace, a_document(workspace)).models
    assert set(marked) == {first, "linear-later"}
    follower.update()
    assert not bundle.list()
    assert not [path for path in bundle.folder.iterdir() if path.is_dir()]
    add_model(workspace, "linear-new", "2999-01-02T00:00:00+00:00")
    (workspace.models / "linear-new" / "erasures.json").unlink()
    follower.update()
    assert [one.model for one in bundle.list()] == ["linear-new"]
    assert [line.split(":")[0] for line in lines] == [
        f"model {first}",
        "model linear-later",
        "no model is served",
        "model linear-new",
    ]


def test_a_bundle_that_cannot_be_written_for_a_while_is_followed_up(
    workspace: Workspace, bundle: ServingBundle
) -> None:
    """An erased model was served from then on, and it was announced that none is."""
    lines: list[str] = []
    follower = Follower(workspace, None, bundle, lines.append)
    follower.update()
    erase(workspace, a_document(workspace))
    lock = bundle.folder / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(EndpointError):
        follower.update()
    assert (len(bundle.list()), len(lines)) == (1, 1)
    lock.rmdir()
    follower.update()
    assert (len(bundle.list()), len(lines)) == (0, 2)


def test_a_full_disk_keeps_no_erased_model_in_service(workspace: Workspace, bundle: ServingBundle) -> None:
    """Neither where the listing cannot be written, nor where the model after it cannot."""
    add_model(workspace, "linear-old", "2001-01-01T00:00:00+00:00")
    export_model(workspace, None, bundle)
    erase(workspace, a_document(workspace))
    for most in (0, 1000):  # bytes of a file
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
        try:
            with pytest.raises(OSError):
                export_model(workspace, None, bundle)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not bundle.list()
    assert export_model(workspace, None, bundle).model == "linear-old"


def test_the_newest_that_is_not_marked_takes_over(workspace: Workspace, bundle: ServingBundle) -> None:
    add_model(workspace, "linear-old", "2001-01-01T00:00:00+00:00")
    export_model(workspace, None, bundle)
    before = bundle.list()[0]
    erase(workspace, a_document(workspace))
    listed = export_model(workspace, None, bundle)
    assert (listed.model, bundle.list()) == ("linear-old", (listed,))
    assert listed.since >= before.since
    shutil.rmtree(workspace.models / "linear-old")
    with pytest.raises(TrainingRefusedError, match="train a new one"):
        export_model(workspace, None, bundle)
    assert not bundle.list()


def test_the_named_one_is_not_offered_once_it_is_marked(workspace: Workspace, bundle: ServingBundle) -> None:
    name = find_model(workspace, "linear").name
    add_model(workspace, "linear-later", "2999-01-01T00:00:00+00:00")
    assert export_model(workspace, name, bundle).model == name
    erase(workspace, a_document(workspace))
    with pytest.raises(TrainingRefusedError, match="erased"):
        export_model(workspace, name, bundle)
    assert not bundle.list()
    with pytest.raises(TrainingRefusedError, match="no model 'square'"):
        export_model(workspace, "square", bundle)


def test_nothing_is_written_while_nothing_changes(workspace: Workspace, bundle: ServingBundle) -> None:
    listed = export_model(workspace, None, bundle)
    stamps = {path: path.stat().st_mtime_ns for path in bundle.folder.rglob("*") if path.is_file()}
    assert export_model(workspace, None, ServingBundle(bundle.folder)) == listed
    assert stamps == {path: path.stat().st_mtime_ns for path in bundle.folder.rglob("*") if path.is_file()}
