"""Where the last layer starts: at what the names of the classes say."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import takes_tokens
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.inputs import Inputs, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import PublicEncoder

# Norm of a class's weights for each unit of log(classes): a sure answer among many needs larger logits.
_SCALE = 2.25


@torch.no_grad()
def start_from_labels(model: FeatureModel, encoder: PublicEncoder) -> None:
    """Make the name of a class its first example: its weights are what the untrained model sees in the name,
    less the mean of all names.

    A text is so first given the class whose name is nearest to it, and privacy is spent on the difference
    only. Names count as public. Those that mean nothing ("A7") do little harm: they are soon unlearnt.

    Only for `classify` by a linear head: topics have no names, classes that don't exclude each other are no
    nearest neighbours, and neither are what a polynomial makes of texts.
    """
    if model.config.objective != "classify" or isinstance(model.head, PolynomialHead):
        return
    names = model.config.labels
    seen = model.features(_inputs(model, encoder))
    apart = normalize(seen - seen.mean(dim=0), dim=1)
    model.output.weight.copy_(_SCALE * math.log(len(names)) * apart / model.logit_scale)


def _inputs(model: FeatureModel, encoder: PublicEncoder) -> Inputs:
    length = min(model.config.chunk_length, encoder.max_length)
    chunks = [encoder.chunks(name, length, 1).ids for name in model.config.labels]
    if takes_tokens(model.config.kind):
        return collate_tokens([ids for chunk in chunks for ids in chunk or [[]]])
    return torch.from_numpy(encoder.document_features(chunks))
