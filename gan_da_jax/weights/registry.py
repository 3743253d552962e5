"""The published weights that this package can fetch: where they are and how to know them."""

from typing import NamedTuple


class Published(NamedTuple):
    """One published file.

    Attributes:
        address: where it is downloaded from.
        hash: the published hash, as `algorithm:hex digits`.
        size: its length in bytes.
        licence: what its publisher releases it under.
        purpose: what it is for, in one line.
    """

    address: str
    hash: str
    size: int
    licence: str
    purpose: str


PUBLISHED = {
    "inception_v3": Published(
        address="https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
        hash="md5:9a0d58056eeedaa3f26cb7ebd46da564",
        size=96_112_376,
        licence="Apache-2.0",
        purpose="Inception v3 of Keras, 1,000 ImageNet classes: Inception Score",
    ),
}
