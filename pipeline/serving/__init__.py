"""Encrypted classification over HTTP: the messages, the server without secret keys, and the client."""
