"""Initial weights of the last layer, taken from the names of the classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import PACKAGE_DIGEST, ModelConfig, takes_tokens
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.inputs import Inputs, chunk_names, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.packaged import PackagedWeights, read_weights
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import represent

# Norm of a class's weights per unit of log(classes), for a start by names, and by texts below headings: a
# confident answer among many needs larger logits, and the better start deserves more confidence.
_NORM_BY_NAMES, _NORM_BY_HEADINGS = 2.25, 4.0
# Of what the names say beside what the texts below headings say, which is surer.
_SHARE_OF_NAMES = 0.5
# Of the norm, for polynomials: larger values lie where they bend.
_SHARE_OF_POLYNOMIALS = 0.7
# Of names that a public heading has or nearly has, and the share of all names that must be such.
_LIKE_A_HEADING, _ENOUGH_LIKE = 0.8, 0.75
# How much more a heading counts that is nearer to a name.
_SHARPNESS = 10.0


@torch.no_grad()
def start_from_labels(model: FeatureModel, encoder: PublicEncoder) -> None:
    """Use the name of each class as its first example.

    The weights of a class become the untrained model's features of its name, minus the mean over all names.
    For a model over embeddings of the packaged encoder, and for an LSTM with its public start, the name is
    first taken to what stands below such a heading in public contracts (`learn_names.py`). A text is
    therefore first assigned to the class with the nearest name, and privacy is spent only on the difference.
    Names count as public. Meaningless names ("A7") do little harm: they are soon unlearned.

    Only for the `classify` objective; any other model is left unchanged: topics have no names, and classes
    that do not exclude each other make no nearest neighbors. A polynomial head starts as the linear one, as
    far as its units can compute it.
    """
    if model.config.objective != "classify":
        return
    inputs, norm = _name_inputs(model, encoder)
    directions = _center(model.features(inputs))
    if model.config.kind == "lstm" and model.config.start == "legal-1":
        directions, norm = _take_states_to_texts(directions, model.config, encoder)
    weights = norm * math.log(len(model.config.labels)) * directions / model.logit_scale
    if isinstance(model.head, PolynomialHead):
        model.head.start_linear(_SHARE_OF_POLYNOMIALS * weights)
    else:
        model.output.weight.copy_(weights)


def _name_inputs(model: FeatureModel, encoder: PublicEncoder) -> tuple[Inputs, float]:
    """Return what the model reads of the names, and the norm that weights made of it get."""
    chunks = chunk_names(model.config, encoder)
    if takes_tokens(model.config.kind):
        return collate_tokens([ids for chunk in chunks for ids in chunk or [[]]]), _NORM_BY_NAMES
    named = torch.from_numpy(represent(model.config.labels, chunks, encoder, model.config.representation))
    if encoder.digest != PACKAGE_DIGEST or model.config.representation == "multilingual-1":
        return named, _NORM_BY_NAMES
    return _take_to_texts(named, encoder.dimension)


def _take_to_texts(named: Tensor, dimension: int) -> tuple[Tensor, float]:
    """Take names to what their texts are like: by a map, and, for names like headings, by texts below these.

    Shapes: (classes, width) -> (classes, width).
    """
    part = named[:, :dimension]
    mapped = named.clone()
    learned = torch.from_numpy(read_weights("names-legal-1")["map"]).float()
    mapped[:, :dimension] = part.norm(dim=1, keepdim=True) * normalize(part @ learned, dim=1)
    below = _find_texts_below(part, "headings-legal-1")
    if below is None:
        return mapped, _NORM_BY_NAMES
    below = below[:, : named.shape[1]]
    return normalize(_center(below) + _SHARE_OF_NAMES * _center(mapped), dim=1), _NORM_BY_HEADINGS


def _take_states_to_texts(
    directions: Tensor, config: ModelConfig, encoder: PublicEncoder
) -> tuple[Tensor, float]:
    """Take an LSTM's features of names to those of texts below such headings. Shapes: (classes, width)."""
    named = torch.from_numpy(encoder.document_features(chunk_names(config, encoder)))
    below = _find_texts_below(named, "headings-lstm-1")
    if below is None:
        return directions, _NORM_BY_NAMES
    return normalize(_center(below) + _SHARE_OF_NAMES * directions, dim=1), _NORM_BY_HEADINGS


def _find_texts_below(named: Tensor, weights: PackagedWeights) -> Tensor | None:
    """Return directions that tell texts below public headings like each name from all others.

    Shapes: (classes, dimension) -> (classes, width). None if few of the names are like headings: classes that
    are none, such as areas of law, are told apart worse by texts below headings.
    """
    public = {key: torch.from_numpy(value).float() for key, value in read_weights(weights).items()}
    nearness = normalize(named, dim=1) @ normalize(public["names"], dim=1).T
    like = nearness.max(dim=1).values > _LIKE_A_HEADING
    if float(like.float().mean()) < _ENOUGH_LIKE:
        return None
    shares = torch.exp(_SHARPNESS * nearness) * public["counts"]
    return shares @ public["texts"] / shares.sum(dim=1, keepdim=True)


def _center(rows: Tensor) -> Tensor:
    """Subtract the mean over the classes, and scale each row to norm 1."""
    return normalize(rows - rows.mean(dim=0), dim=1)
