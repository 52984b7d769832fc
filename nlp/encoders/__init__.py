"""Text to features: a frozen public encoder, what is read from it, and the small models trained on top.

    chunks.py      masked text -> pieces of text that the encoder can take; pure functions
    public.py      the frozen public encoder: tokens, embeddings, the public mean
    topics.py      label-free targets, from the public token embeddings
    models.py      the models that are trained: linear, mlp, lstm, ...; their losses
    transformer.py the encoder itself as one of them: adapters, last layers, or whole
    storage.py     a trained model to a folder and back
    documents.py   many documents at once: text -> encoded -> features

Nothing here is fitted on private text but the weights in `models.py`, and these are trained elsewhere.
"""
