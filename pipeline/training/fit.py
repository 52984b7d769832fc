"""TODO docstring."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lexveil.nlp.encoders.config import TRANSFORMERS, Activation, ModelConfig, takes_tokens
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.transformer import NotTrainableError
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import OwnerData, Split
from lexveil.pipeline.training.objectives import objective_of, try_one_step
from lexveil.privacy.dp.checkpoint import Checkpoint
from lexveil.privacy.dp.engine import TrainingPlan, TrainingResult
from lexveil.privacy.dp.engine import train as train_privately
from lexveil.privacy.dp.group import SINGLE_PROCESS, Group, local_rank
from lexveil.privacy.dp.randomness import SecureRandom

# Items that go through a model together: of a transformer, as many as bring 2 GB of activations.
# Heads take as many as amortise a micro-batch's overhead: half the time of 256.
_HEAD_ITEMS, _LSTM_ITEMS, _TRANSFORMER_ITEMS = 2048, 256, 32


def device_of(train: TrainSettings) -> torch.device:
    """Where the model is trained. Each process that torchrun started has a GPU of its own.

    Raises:
        TrainingRefusedError: CUDA was asked for, and there is none.
    """
    there = torch.cuda.is_available()
    if train.device == "cuda" and not there:
        raise TrainingRefusedError(
            "setting train.device is cuda, but PyTorch finds no CUDA device here; set it to auto or cpu"
        )
    if train.device == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", local_rank() % torch.cuda.device_count())


def model_config(train: TrainSettings, split: Split) -> ModelConfig:
    """The untrained model for these documents."""
    chosen = {"lora": train.lora_rank, "last_layers": train.last_layers}
    return ModelConfig.of(
        train.model,
        load_encoder(train),
        split.labels,
        split.objective,
        size=chosen.get(train.model),
        chunk_length=train.chunk_length,
        chunk_limit=train.chunk_limit,
    )


def check_trainable(config: ModelConfig, train: TrainSettings) -> None:
    """One step of this model on random inputs, before anything is charged.

    Raises:
        TrainingRefusedError: the model can't be trained under DP; the line names the layer.
    """
    encoder = load_encoder(train)
    try:
        model = build_model(config, encoder)
    except NotTrainableError as error:
        raise TrainingRefusedError(f"kind {config.kind} can't be trained: {error}") from None
    try_one_step(model, encoder)


def fit(
    config: ModelConfig,
    split: Split,
    train: TrainSettings,
    plan: TrainingPlan,
    random: SecureRandom,
    on_step: Callable[[int], None] | None = None,
    private: bool = True,
    activation: Activation | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    group: Group = SINGLE_PROCESS,
) -> tuple[FeatureModel, TrainingResult]:
    """Train a model on the split. `private=False` trains the diagnostic twin, which is never saved.

    activation: another one than the kind's, for a comparison.
    """
    model = build_model(config, load_encoder(train), activation=activation)
    start_from_labels(model, load_encoder(train))
    model.to(device_of(train))
    data = OwnerData(split, config.kind, train.max_items_per_owner)
    target, loss = objective_of(model)
    tokens = _TRANSFORMER_ITEMS if config.kind in TRANSFORMERS else _LSTM_ITEMS
    usual = tokens if takes_tokens(config.kind) else _HEAD_ITEMS
    result = train_privately(
        target,
        data,
        loss,
        plan,
        random,
        on_step=on_step,
        private=private,
        max_items=train.micro_batch or usual,
        checkpoint=checkpoint,
        group=group,
    )
    model.cpu()
    model.fold()
    return model.eval(), result
