"""Training of one model on a split of the documents."""

from __future__ import annotations

from functools import partial

import torch

from lexveil.nlp.encoders.config import LSTMS, TRANSFORMERS, Activation, ModelConfig, takes_tokens
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.transformer import NotTrainableError
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.records import Progress
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Split
from lexveil.pipeline.training.objectives import build_objective, try_one_step
from lexveil.privacy.dp.batches import OwnerBatches
from lexveil.privacy.dp.checkpoint import Checkpoint
from lexveil.privacy.dp.clipping import kernel
from lexveil.privacy.dp.engine import TrainingPlan, TrainingResult
from lexveil.privacy.dp.engine import train as train_privately
from lexveil.privacy.dp.group import SINGLE_PROCESS, Companions, local_rank
from lexveil.privacy.dp.randomness import SecureRandom

# Items per micro-batch. Activations of a transformer then take about 2 GB. The number for heads amortizes
# the overhead of a micro-batch: it takes half the time of 256.
_HEAD_ITEMS, _LSTM_ITEMS, _TRANSFORMER_ITEMS = 2048, 256, 32


def is_cuda_available() -> bool:
    """Return True if this machine has a GPU to train on."""
    return torch.cuda.is_available()


def choose_device(train: TrainSettings) -> torch.device:
    """Choose the device to train on. Each process that torchrun started has its own GPU.

    Raises:
        TrainingRefusedError: the settings require CUDA, and there is none.
    """
    available = is_cuda_available()
    if train.device == "cuda" and not available:
        raise TrainingRefusedError(
            "setting train.device is cuda, but PyTorch finds no CUDA device here; set it to auto or cpu"
        )
    if train.device == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", local_rank() % torch.cuda.device_count())


def describe_slow_lstm(train: TrainSettings) -> str | None:
    """Return why an LSTM trains more slowly than it could; None if it does not, or if another kind trains."""
    if train.model not in LSTMS or choose_device(train).type != "cpu" or kernel.find_instructions():
        return None
    return "the LSTM trains more slowly: this installation has no compiled functions for the processor"


def build_model_config(train: TrainSettings, split: Split) -> ModelConfig:
    """Build the configuration of the untrained model for these documents."""
    sizes = {"lora": train.lora_rank, "last_layers": train.last_layers}
    return ModelConfig.of(
        train.model,
        load_encoder(train),
        split.labels,
        split.objective,
        size=sizes.get(train.model),
        chunk_length=train.chunk_length,
        chunk_limit=train.chunk_limit,
        chunk_ends=train.chunk_ends,
        representation=train.chosen_representation,
    )


def check_trainable(config: ModelConfig, train: TrainSettings) -> None:
    """Train a model of this configuration for one step on random inputs, before anything is charged.

    Raises:
        TrainingRefusedError: the model cannot be trained under DP; the message names the layer.
    """
    encoder = load_encoder(train)
    try:
        model = build_model(config, encoder)
    except NotTrainableError as error:
        raise TrainingRefusedError(f"kind {config.kind} cannot be trained: {error}") from None
    try_one_step(model, encoder)


def fit(
    config: ModelConfig,
    data: OwnerBatches,
    train: TrainSettings,
    plan: TrainingPlan,
    random: SecureRandom,
    progress: Progress | None = None,
    private: bool = True,
    activation: Activation | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    group: Companions = SINGLE_PROCESS,
) -> tuple[FeatureModel, TrainingResult]:
    """Train a model.

    Args:
        config: configuration of the model.
        data: the documents by owner.
        train: settings of the training.
        plan: steps, rates and noise.
        random: source of all randomness.
        progress: listener for the steps.
        private: False: train the diagnostic twin, without clipping and noise, which is never saved.
        activation: activation of the head, for a comparison; None: that of the kind.
        checkpoint: where the run keeps its position; None: nowhere.
        group: those who train with this process.

    Returns:
        The trained model, on the CPU and in evaluation mode, and the result of the training.

    Raises:
        NonFiniteWeightsError: a step has made a weight infinite or not a number.
    """
    model = build_model(config, load_encoder(train), activation=activation)
    start_from_labels(model, load_encoder(train))
    model.to(choose_device(train))
    target, loss = build_objective(model)
    result = train_privately(
        target,
        data,
        loss,
        plan,
        random,
        on_step=None if progress is None else partial(_report_step, progress, plan.steps),
        private=private,
        max_items=choose_micro_batch(train),
        checkpoint=checkpoint,
        group=group,
    )
    model.cpu()
    model.fold()
    return model.eval(), result


def _report_step(progress: Progress, steps: int, step: int) -> None:
    progress("train", step + 1, steps)


def choose_micro_batch(train: TrainSettings) -> int:
    """Return the number of items in a micro-batch: that of the settings, or what suits the kind."""
    if train.micro_batch is not None:
        return train.micro_batch
    if train.model in TRANSFORMERS:
        return _TRANSFORMER_ITEMS
    return _LSTM_ITEMS if takes_tokens(train.model) else _HEAD_ITEMS
