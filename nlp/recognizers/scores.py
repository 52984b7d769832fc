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
REVIEWER = "Reviewer"
"""Recognizer of the spans that a reviewer added."""
SECOND_PASS = "SecondPass"  # noqa: S105
"""Recognizer of the spans that the second pass added."""
RESERVED: frozenset[str] = frozenset({LEARNED, PROPAGATION, DENIED, ALLOWED, REVIEWER, SECOND_PASS})
"""Names that decide how a span is treated: no recognizer of an office may have one."""
