"""The workspace: paths, settings, keys, tables and the log of one pipeline."""
