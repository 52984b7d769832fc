"""Entities: which mentions refer to the same one, and the role of each person in a case."""
