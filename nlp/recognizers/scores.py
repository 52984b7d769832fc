"""One scale of scores for all recognizers, so that overlaps can be resolved by comparing them.

Needs no Presidio, unlike the recognizers themselves.
"""

from __future__ import annotations

CHECKED = 1.0  # a check digit or an unmistakable form
LABELED = 0.9  # the context says what it is
SHAPED = 0.8  # the form alone
GUESSED = 0.6  # a statistical model
# The recognizer whose scores are probabilities and do not follow this scale.
LEARNED = "LearntRecognizer"
# The recognizer of further mentions of a name: they are as certain as the mention that they repeat.
PROPAGATION = "Propagation"
# The recognizers of strings that an office has listed: masked always, and never.
DENIED = "DenyList"
ALLOWED = "AllowList"
