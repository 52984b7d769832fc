"""Initial weights of the last layer, taken from the names of the classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import PACKAGE_DIGEST, takes_tokens
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.inputs import Inputs, chunk_names, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.packaged import read_weights
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import represent

# Norm of a class's weights per unit of log(classes): a confident answer among many needs larger logits.
_NORM_PER_LOG_CLASS = 2.25


@torch.no_grad()
def start_from_labels(model: FeatureModel, encoder: PublicEncoder) -> None:
    """Use the name of each class as its first example.

    The weights of a class become the untrained model's features of its name, minus the mean over all names.
    For a model over embeddings of the packaged encoder, the name is first mapped to what stands below such a
    heading in public contracts (`learn_names.py`). A text is therefore first assigned to the class with the
    nearest name, and privacy is spent only on the difference. Names count as public. Meaningless names
    ("A7") do little harm: they are soon unlearned.

    Only for the `classify` objective with a linear head; any other model is left unchanged: topics have no
    names, and neither classes that do not exclude each other nor the output of a polynomial make nearest
    neighbors.
    """
    if model.config.objective != "classify" or isinstance(model.head, PolynomialHead):
        return
    names = model.config.labels
    features = model.features(_name_inputs(model, encoder))
    directions = normalize(features - features.mean(dim=0), dim=1)
    model.output.weight.copy_(_NORM_PER_LOG_CLASS * math.log(len(names)) * directions / model.logit_scale)


def _name_inputs(model: FeatureModel, encoder: PublicEncoder) -> Inputs:
    chunks = chunk_names(model.config, encoder)
    if takes_tokens(model.config.kind):
        return collate_tokens([ids for chunk in chunks for ids in chunk or [[]]])
    named = torch.from_numpy(represent(model.config.labels, chunks, encoder, model.config.representation))
    if encoder.digest == PACKAGE_DIGEST:
        part = named[:, : encoder.dimension]
        part.copy_(part.norm(dim=1, keepdim=True) * normalize(part @ _name_map(), dim=1))
    return named


def _name_map() -> Tensor:
    """Return the map from a heading to what stands below it. Shape: (dimension, dimension)."""
    return torch.from_numpy(read_weights("names-legal-1")["map"]).float()
