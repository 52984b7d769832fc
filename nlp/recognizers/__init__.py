"""Rules that find personal information: one module per family, each class a Presidio recognizer."""
