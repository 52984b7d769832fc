"""Training in one message: noisy sums of each class's documents, added to what the names of classes give.

An owner adds, for each class, the sum of its documents' representations over the number of its documents.
That is the gradient of minus the logit of each document's class, so the training loop computes, clips and
protects it, as one step that draws every owner.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import Kind, ModelConfig, Objective
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.fit import choose_micro_batch
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.batches import OwnerBatches
from lexveil.privacy.dp.engine import TrainingPlan, train
from lexveil.privacy.dp.group import Companions
from lexveil.privacy.dp.randomness import SecureRandom

# An owner's sums have a norm of one over the root of the number of its classes, so most are below 1 by far.
_MAX_GRAD_NORM = 0.2
# Standard deviation of the noise on a weight; with few owners less, as in `recipes`.
_STEP_NOISE, _MANY_OWNERS = 0.8, 1000


def check_once(kind: Kind, objective: Objective) -> None:
    """Refuse a model that one sum cannot train.

    Raises:
        AgreementError: it has more than a linear head, or the classes do not exclude each other.
    """
    if kind != "linear" or objective != "classify":
        raise AgreementError("protection once trains a linear model of classes that exclude each other")


def plan_once(settings: TrainSettings, n_owners: int) -> TrainingPlan:
    """Plan the one step, for all owners together.

    Raises:
        ValueError: no noise reaches the epsilon.
    """
    sigma = accounting.noise_multiplier(settings.epsilon, 1.0, 1, settings.delta)
    max_grad_norm = settings.max_grad_norm or _MAX_GRAD_NORM
    step_noise = _STEP_NOISE * min(1.0, n_owners / _MANY_OWNERS) ** 0.25
    learning_rate = settings.learning_rate or step_noise * n_owners / (sigma * max_grad_norm)
    return TrainingPlan(sigma, max_grad_norm, 1.0, 1, learning_rate)


def fit_once(
    config: ModelConfig,
    data: OwnerBatches,
    settings: TrainSettings,
    plan: TrainingPlan,
    random: SecureRandom,
    group: Companions,
) -> FeatureModel:
    """Train the model in one step.

    Args:
        config: configuration of the model.
        data: documents by owner.
        settings: settings of the training.
        plan: the one step.
        random: source of the noise.
        group: those who train with this process.

    Returns:
        The model, in evaluation mode. The weights of a class have the norm that its name gives them: how
        many documents it has does not matter.

    Raises:
        NonFiniteWeightsError: the step has made a weight infinite or not a number.
    """
    encoder = load_encoder(settings)
    model = build_model(config, encoder)
    start_from_labels(model, encoder)
    norms = model.output.weight.detach().norm(dim=1, keepdim=True)
    train(model, data, _minus_own_logit, plan, random, max_items=choose_micro_batch(settings), group=group)
    with torch.no_grad():
        model.output.weight.copy_(norms * normalize(model.output.weight, dim=1))
    model.fold()
    return model.eval()


def _minus_own_logit(outputs: Tensor, targets: Tensor) -> Tensor:
    return -outputs.gather(1, targets[:, None]).squeeze(1)
