"""Privacy guarantees: differential privacy, homomorphic encryption, encryption at rest and pseudonyms."""
