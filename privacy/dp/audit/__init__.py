"""The software attacks itself before it claims anything: `gate` on synthetic owners, `attacks` on a model."""
