"""Masked documents as files: texts, tables, annotations, and the originals' own formats."""
