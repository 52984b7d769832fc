"""Detection of personal information: a text in, typed spans out."""
