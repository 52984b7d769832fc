"""The packaged public weights: read by one function, which checks that they are the published ones."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from numpy.typing import NDArray
from safetensors.numpy import load

from lexveil.nlp.encoders.public import EncoderLoadError

PackagedWeights = Literal[
    "words-legal-1", "names-legal-1", "headings-legal-1", "lstm-legal-1", "headings-lstm-1"
]

# SHA-256 of each file.
DIGESTS: dict[PackagedWeights, str] = {
    "words-legal-1": "9b14dce2f62d991d6cb755426f404e355598988568aff61046eb1e70ae781656",
    "names-legal-1": "9635ac906b4253e13eded53596aefe62c152f883266750696a73eb1469fe277f",
    "headings-legal-1": "7b82f6ac5b9f43a6cf0098593e907aa8cb7b563835808b68b10089a957368f60",
    "lstm-legal-1": "c336d50c330dedb8a061c75a1230b9d4b1a573c2c3993f60d13df48770d98d5d",
    "headings-lstm-1": "b14e40b44ca1e435cf47e9c617011c4226071eb2c8e16e8e935ee16402c9ea5d",
}


@cache
def read_weights(name: PackagedWeights) -> dict[str, NDArray[Any]]:
    """Read a file of `weights/`, once per process. Do not change what it returns.

    Raises:
        EncoderLoadError: The file is missing, or is not the published one.
    """
    path = files("lexveil.nlp.encoders").joinpath(f"weights/{name}.safetensors")
    try:
        content = path.read_bytes()
    except OSError:
        raise EncoderLoadError("packaged_weights") from None
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise EncoderLoadError("packaged_weights")
    return load(content)


def check_weights() -> None:
    """Read all packaged weights, so that damaged ones are found before a document is read.

    Raises:
        EncoderLoadError: A file is missing, or is not the published one.
    """
    for name in DIGESTS:
        read_weights(name)
