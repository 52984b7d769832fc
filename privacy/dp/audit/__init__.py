"""Audits by attack: `gate` attacks the code on synthetic owners, `attacks` attack a finished model."""
