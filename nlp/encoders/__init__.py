"""Text to features: the frozen public encoder, and the small models trained on top of it.

    config.py       kinds of models and their configuration; imports no PyTorch
    chunks.py       masked text to the pieces of text that an encoder can take; pure functions
    packed.py       linear layers prepacked for the processor's fastest kernels
    public.py       the frozen public encoder: tokens, embeddings, the public mean
    multilingual.py the frozen public encoder for many languages, from an extra
    topics.py       label-free targets, from the public token embeddings
    inputs.py       batches of padded chunks
    heads.py        the bounded hidden layer, and the head that can be served encrypted
    lstm.py         the bidirectional LSTM over public token embeddings
    topic_lstm.py   the same with attention over topics
    transformer.py  the encoder itself, trained further: adapters, last layers, or all of it
    models.py       the models that are trained: a body and a head
    losses.py       their losses, one value per item
    label_start.py  initial weights of a head, from the names of the classes
    learn_names.py  trains the map from a name to what its class is about, which label_start applies
    distill_lstm.py trains the public weights that an LSTM starts from
    documents.py    many documents at once: masked text to encoded documents to features
    storage.py      a trained model to a folder and back

Nothing here is fitted to private text except the weights of a model, and those are trained elsewhere.
"""
