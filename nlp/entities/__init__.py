"""Entities: which mentions name the same one, and the role of each person in a case."""
