"""Saved models: complete or absent, in the order of their creation, refused with a reason that helps."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.storage import ModelLoadError
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models import saved
from lexveil.pipeline.models.card import CARD, CARD_FOR_PEOPLE, ModelCard, read_card
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import (
    SavedModel,
    find_model,
    find_model_by_recipe,
    list_models,
    save_model,
    translate_load_error,
)
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace

MakeCard = Callable[..., ModelCard]
LABELS = ("contract", "Wohnraum", "租赁")


def build(workspace: Workspace, seed: int = 1) -> FeatureModel:
    encoder = load_encoder(workspace.settings.train)
    model = build_model(ModelConfig.of("linear", encoder, LABELS, chunk_length=32), encoder)
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.output.weight)
    return model.eval()


def save(workspace: Workspace, card: ModelCard, seed: int = 1) -> SavedModel:
    return save_model(workspace, build(workspace, seed), card, {})


def test_a_model_is_saved_with_labels_and_both_cards(workspace: Workspace, make_card: MakeCard) -> None:
    card = make_card()
    model = save(workspace, card)
    assert model == SavedModel(
        card.name, "linear", workspace.models / card.name, "r-1", card.statement, card.recipe
    )
    assert tuple(json.loads((model.folder / "labels.json").read_text())) == LABELS
    assert (model.folder / CARD_FOR_PEOPLE).read_text(encoding="utf-8") == card.to_markdown()
    assert read_card(model.folder)["statement"] == card.statement
    assert [path.name for path in workspace.models.iterdir()] == [card.name]


def test_the_weights_come_back(workspace: Workspace, make_card: MakeCard) -> None:
    model = build(workspace)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    folder = save_model(workspace, model, make_card(), {}).folder
    state = open_model(folder, workspace.settings).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)


def test_a_model_is_loaded_once_until_its_weights_change(workspace: Workspace, make_card: MakeCard) -> None:
    folder = save(workspace, make_card()).folder
    first = open_model(folder, workspace.settings)
    assert open_model(folder, workspace.settings) is first
    shutil.rmtree(folder)
    save(workspace, make_card(), seed=2)
    changed = first.output.weight.detach().clone()
    os.utime(folder / "model.safetensors", ns=(1, 1))  # whatever the resolution of the clock
    again = open_model(folder, workspace.settings)
    assert again is not first
    assert not torch.equal(again.output.weight, changed)


def test_models_are_listed_by_their_creation_not_by_name(workspace: Workspace, make_card: MakeCard) -> None:
    assert list_models(workspace) == []
    names = ["linear-c", "linear-a", "linear-b"]
    for number, name in enumerate(names):
        save(workspace, make_card(name=name, created=f"2024-05-0{number + 1}T00:00:00.000000+00:00"))
    assert [model.name for model in list_models(workspace)] == names
    assert find_model(workspace, "linear").name == "linear-b"
    assert find_model(workspace, "linear-a").name == "linear-a"


@pytest.mark.parametrize("name", ["lstm", "linear-0", "", "Linear"])
def test_a_model_that_is_not_there(workspace: Workspace, make_card: MakeCard, name: str) -> None:
    save(workspace, make_card())
    with pytest.raises(TrainingRefusedError, match="this workspace has no model") as caught:
        find_model(workspace, name)
    assert repr(name) in str(caught.value)


def test_a_recipe_finds_its_newest_model(workspace: Workspace, make_card: MakeCard) -> None:
    for number, recipe in enumerate(["a", "b", "a"]):
        created = f"2024-05-0{number + 1}T00:00:00.000000+00:00"
        save(workspace, make_card(name=f"linear-{number}", recipe=recipe, created=created))
    found = {recipe: find_model_by_recipe(workspace, recipe) for recipe in "abc"}
    assert {recipe: model and model.name for recipe, model in found.items()} == {
        "a": "linear-2",
        "b": "linear-1",
        "c": None,
    }


def test_what_an_interrupted_save_leaves_is_no_model(
    workspace: Workspace, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(saved, "write_json", fail)  # the card is written last
        with pytest.raises(KeyboardInterrupt):
            save(workspace, make_card())
    assert [path.name for path in workspace.models.iterdir()] == [".linear-0a1b2c3d.partial"]
    assert list_models(workspace) == []
    save(workspace, make_card())
    assert [model.name for model in list_models(workspace)] == ["linear-0a1b2c3d"]
    assert [path.name for path in workspace.models.iterdir()] == ["linear-0a1b2c3d"]


def test_folders_without_a_card_and_hidden_ones_are_passed_over(
    workspace: Workspace, make_card: MakeCard
) -> None:
    folder = save(workspace, make_card()).folder
    shutil.copytree(folder, workspace.models / ".copy")
    shutil.copytree(folder, workspace.models / "half")
    (workspace.models / "half" / CARD).unlink()
    assert [model.folder for model in list_models(workspace)] == [folder]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("missing", "a file of its folder is missing"),
        ("schema_version", "another version of Lexveil wrote it"),
        ("config", "config.json is broken"),
        ("encoder_digest", "trained over another public encoder"),
        ("precision", "embeddings of another precision"),
        ("weights", "its weights are broken"),
        ("encoder", "encoder"),
        ("of-the-future", "of-the-future"),
    ],
)
def test_every_reason_is_one_line_that_says_what_to_do(code: str, reason: str) -> None:
    message = str(translate_load_error(ModelLoadError(code)))
    assert message.startswith("the model cannot be used: ")
    assert reason in message
    assert "train it again" in message
    assert "\n" not in message


def test_a_broken_folder_is_refused_with_its_reason(
    workspace: Workspace, make_card: MakeCard, tmp_path: Path
) -> None:
    folder = save(workspace, make_card()).folder

    def refuse(name: str, content: bytes | None) -> str:
        broken = shutil.copytree(folder, tmp_path / "broken" / f"{name}-{content is None}")
        if content is None:
            (broken / name).unlink()
        else:
            (broken / name).write_bytes(content)
        with pytest.raises(TrainingRefusedError) as caught:
            open_model(broken, workspace.settings)
        return str(caught.value)

    assert "missing" in refuse("model.safetensors", None)
    assert "missing" in refuse("config.json", None)
    assert "weights are broken" in refuse("model.safetensors", b"no tensors")
    assert "config.json is broken" in refuse("config.json", b"[]")
    with pytest.raises(TrainingRefusedError, match="missing"):
        open_model(tmp_path / "nowhere", workspace.settings)


def test_a_model_over_another_encoder_is_refused(
    workspace: Workspace, make_card: MakeCard, tmp_path: Path, bert_in: Callable[..., Path]
) -> None:
    folder = save(workspace, make_card()).folder
    other = bert_in(tmp_path / "other", hidden_size=16, num_hidden_layers=1, intermediate_size=8)
    settings = Settings.model_validate({"train": {"encoder": other}})
    with pytest.raises(TrainingRefusedError, match="another public encoder"):
        open_model(folder, settings)
