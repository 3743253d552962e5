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
    "inception_v3_2015": Published(
        address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        hash="sha256:6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        size=95_628_359,
        licence="Apache-2.0",
        purpose="Inception v3 of the original Inception Score and FID, 1,008 outputs: all published scores",
    ),
    "inception_v3": Published(
        address="https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
        hash="md5:9a0d58056eeedaa3f26cb7ebd46da564",
        size=96_112_376,
        licence="Apache-2.0",
        purpose="Inception v3 of Keras, 1,000 ImageNet classes: Inception Score",
    ),
    "inception_v3_torchvision": Published(
        address="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        hash="sha256:0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
        size=108_949_747,
        licence="BSD-3-Clause",
        purpose="Inception v3 of torchvision, 1,000 ImageNet classes: comparison with scores made by it",
    ),
    "resnet50": Published(
        address="https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        hash="md5:2cb95161c43110f7111970584f804107",
        size=102_967_424,
        licence="Apache-2.0",
        purpose="ResNet-50 of Keras, 1,000 ImageNet classes: class probabilities of single images",
    ),
}
