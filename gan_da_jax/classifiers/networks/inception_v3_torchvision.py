"""The Inception v3 that torchvision publishes."""

from gan_da_jax.classifiers.backbone import Backbone
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import class_names
from gan_da_jax.classifiers.weights import inception_v3 as weights
from gan_da_jax.classifiers.weights.published import Published

BACKBONE = Backbone(
    name="inception_v3_torchvision",
    network=inception_v3.TORCHVISION,
    prepare=inception_v3.prepare,
    taps=inception_v3.TORCHVISION.taps,
    default_tap="2048",
    read=lambda path: weights.read_torch(path, inception_v3.TORCHVISION),
    classes=class_names.CLASSES,
    distance="FID",
    caveat="The classifier is the 1,000-class Inception-v3 of torchvision, not the 2015 network that published "
    "Inception Scores and FIDs are mostly computed with: compare these numbers with each other, not with published "
    "ones.",
    origin=Published(
        address="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        hash="sha256:0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
        size=108_949_747,
        licence="BSD-3-Clause",
        purpose="Inception v3 of torchvision, 1,000 ImageNet classes: comparison with scores made by it",
    ),
)
