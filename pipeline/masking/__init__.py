"""Masking: detection in documents, decisions of reviewers, scopes of pseudonyms, and the vault."""
