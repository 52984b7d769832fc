"""The endpoint's client: it holds the secret keys and the texts, and checks the server's answers."""
