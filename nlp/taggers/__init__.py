"""Learnt detectors: names by the words about them, in the text's own context.

`load` gives one by name. `light` is a linear-chain CRF over hashed features (`lexveil.nlp.taggers.crf`),
which carries no string of any corpus; `default` a token classifier (`lexveil.nlp.taggers.transformer`);
anything
else is the path of a local token-classification folder. Training: `python -m lexveil.nlp.detector_training
light --help`.

What a detector of several parts needs of the CRF, token by token:

    from lexveil.nlp.taggers.crf import Crf
    crf = Crf.load()                       # the shipped weights; Crf.load(path) for others
    for marginals in crf.marginals(texts):
        marginals.tokens                   # int64 (T, 2): [start, end) of each token in its text
        marginals.probabilities            # float32 (T, L): posterior of each label, rows sum to 1
    crf.labels                             # L names, "O" first, then "B-PERSON", "I-PERSON", ...
"""

from __future__ import annotations

from pathlib import Path

from lexveil.nlp.taggers.contract import SENSITIVITIES, Sensitivity, Tagger


def load(model: str, sensitivity: Sensitivity = "balanced") -> tuple[Tagger, ...]:
    """The detector `light` or `default`, or the one in the folder `model`, at an operating point.

    `default` is the token classifier for English, and `light` for the other languages that it knows: of
    several taggers, the first that speaks a text's language reads it.

    Raises:
        ValueError: no such operating point, or a folder that can't be used.
    """
    if sensitivity not in SENSITIVITIES:
        raise ValueError(f"sensitivity must be one of {', '.join(SENSITIVITIES)}")
    if model == "light":
        from lexveil.nlp.taggers.crf import CrfTagger

        return (CrfTagger.load(sensitivity=sensitivity),)
    # The parts of a token classifier are heavy, and `light` must not need them.
    from lexveil.nlp.taggers import transformer

    if model == "default":
        return (transformer.load_default(sensitivity), *load("light", sensitivity))
    return (transformer.load_folder(Path(model), sensitivity),)
