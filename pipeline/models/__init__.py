"""Trained models: how they are saved, loaded, described on their cards, and served."""
