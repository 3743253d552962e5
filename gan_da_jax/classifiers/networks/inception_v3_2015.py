"""The Inception v3 of 2015: the network that the Inception Score and FID were defined with."""

from gan_da_jax.classifiers.backbone import Backbone
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import inception_v3 as weights
from gan_da_jax.classifiers.weights.published import Published

BACKBONE = Backbone(
    name="inception_v3_2015",
    network=inception_v3.ORIGINAL,
    prepare=inception_v3.prepare_2015,
    taps=inception_v3.ORIGINAL.taps,
    default_tap="2048",
    read=lambda path: weights.read_torch(path, inception_v3.ORIGINAL),
    # Numbers, as not all of the 1,008 outputs stand for a class of ImageNet.
    classes=tuple(map(str, range(inception_v3.ORIGINAL.classes))),
    distance="FID",
    caveat="The classifier is the network of the original Inception Score and FID, but published scores mostly rest on "
    "50,000 generated images: from fewer the same generator gets a lower Inception Score and a higher FID.",
    other_tap="Published FIDs compare features of tap 2048; these FIDs are of another tap and on another scale.",
    origin=Published(
        address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        hash="sha256:6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        size=95_628_359,
        licence="Apache-2.0",
        purpose="Inception v3 of the original Inception Score and FID, 1,008 outputs: all published scores",
    ),
)
