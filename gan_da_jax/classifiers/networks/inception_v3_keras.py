"""The Inception v3 that Keras publishes, called `inception_v3`."""

from gan_da_jax.classifiers.backbone import Backbone
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import class_names
from gan_da_jax.classifiers.weights import inception_v3 as weights
from gan_da_jax.classifiers.weights.published import Published

BACKBONE = Backbone(
    name="inception_v3",
    network=inception_v3.KERAS,
    prepare=inception_v3.prepare,
    taps=inception_v3.KERAS.taps,
    default_tap="2048",
    read=weights.read_keras,
    classes=class_names.CLASSES,
    distance="FID",
    caveat="The classifier is the 1,000-class Inception-v3 of Keras, not the 2015 network that published Inception "
    "Scores and FIDs are computed with: compare these numbers with each other, not with published ones.",
    origin=Published(
        address="https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
        hash="md5:9a0d58056eeedaa3f26cb7ebd46da564",
        size=96_112_376,
        licence="Apache-2.0",
        purpose="Inception v3 of Keras, 1,000 ImageNet classes: Inception Score",
    ),
)
