"""Clipping of the gradients of owners, in one backward pass."""
