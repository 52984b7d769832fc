"""The pipeline: the stages that turn sources into masked text, models and features, and what they share."""
