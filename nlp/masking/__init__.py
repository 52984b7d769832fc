"""Masking: policies, pseudonyms and surrogates, the second pass, and the way back to the original."""
