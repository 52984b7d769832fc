"""Joint training: what several offices agree on, and one office's part in it."""
