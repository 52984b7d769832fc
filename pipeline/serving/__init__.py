"""Encrypted classification over HTTP: `wire` (messages), `server` (no secret key), `client` (key holder)."""
