"""Scores of a detector on documents whose personal information people have marked."""
