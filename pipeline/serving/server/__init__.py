"""The endpoint's server: it computes on ciphertexts, and holds no secret key and no document."""
