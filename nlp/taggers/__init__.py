"""Learned detectors: they recognize names by the surrounding words.

`load_taggers` returns them by name. `light` is two linear-chain CRFs over hashed features
(`lexveil.nlp.taggers.crf`), one for English and one for German, which contain no string of any corpus, and a
lexicon-enhanced LSTM for Chinese (`lexveil.nlp.taggers.lattice`); `multilingual` is a token classifier
(`lexveil.nlp.taggers.transformer`) for English, German and further languages, with the same LSTM; `default`
is the same, but German is read by both it and the CRF, which knows its law better
(`lexveil.nlp.taggers.paired`); any other name is the path of a local token-classification folder.
For training see `python -m lexveil.nlp.detector_training --help`.

The CRF also returns its probabilities, token by token:

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


def load_taggers(model: str, sensitivity: Sensitivity = "balanced") -> tuple[Tagger, ...]:
    """Load the detector `light`, `default` or `multilingual`, or the one in the folder `model`.

    Of several taggers, the first that knows a text's language reads it.

    Raises:
        ValueError: the operating point does not exist.
        TaggerError: the detector cannot be used.
    """
    if sensitivity not in SENSITIVITIES:
        raise ValueError(f"sensitivity must be one of {', '.join(SENSITIVITIES)}")
    if model == "light":
        from lexveil.nlp.taggers.crf import GERMAN, CrfTagger
        from lexveil.nlp.taggers.lattice import LatticeTagger

        return (
            CrfTagger.load(GERMAN, sensitivity),
            CrfTagger.load(sensitivity=sensitivity),
            LatticeTagger.load(sensitivity=sensitivity),
        )
    # A token classifier imports heavy packages, which `light` must not need.
    from lexveil.nlp.taggers import transformer

    if model == "multilingual":
        from lexveil.nlp.taggers.lattice import LatticeTagger

        return (transformer.load_multilingual(sensitivity), LatticeTagger.load(sensitivity=sensitivity))
    if model == "default":
        from lexveil.nlp.taggers.paired import PairedTagger

        german, _, chinese = load_taggers("light", sensitivity)
        multilingual = transformer.load_multilingual(sensitivity)
        return (PairedTagger(german, multilingual), multilingual, chinese)
    return (transformer.load_folder(Path(model), sensitivity),)
