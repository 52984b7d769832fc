"""Training of the learned detectors: `python -m lexveil.nlp.detector_training --help`."""
