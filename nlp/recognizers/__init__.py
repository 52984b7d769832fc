"""Rules that find personal information: one module per family, Presidio recognizers all."""
