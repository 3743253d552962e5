"""Every field of a config, with its unit and the reason for its default: the paper's wherever it gives one.

Your own config is a file with a `get_config()` that changes a copy of this one, see `celeba.py`. Any field can also be
set on the command line, after `--config`: `--config.train.epochs=30`.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Return the paper's DCGAN at 128 px, on the built-in procedural faces, without augmentation."""
    config = ConfigDict()
    config.seed = 0  # 0 to 2**32 - 1; everything random in a run follows from it, also the choice of the originals

    config.data = ConfigDict()
    config.data.source = "faces"  # faces (procedural, needs no data) | folder | zip | tfds (TensorFlow Datasets)
    config.data.path = ""  # the folder or zip file; empty for faces; for tfds its data folder, empty for the usual one
    # The data set's name in tfds, as in celeb_a or cifar10:3.0.2; with #LABEL, only the images of that class, as in
    # oxford_iiit_pet#pomeranian. Empty for other sources.
    config.data.dataset = ""
    config.data.count = 1000  # originals, chosen by seed; the paper has 1,000
    config.data.image_size = 128  # pixels; the dcgan can do 32, 64, 128 and 256, the paper has 128
    config.data.resize = "stretch"  # stretch (as in the paper) | center_crop (largest centred square first)
    config.data.skip_bad = False  # leave unreadable and duplicate files out, and record them, instead of stopping

    # Megabytes of images that a device may hold. A larger data set is streamed to it; the result is the same (on a CPU
    # bit for bit). 0: half of the device's memory, where the device says how much it has.
    config.data.resident_mb = 0.0

    config.augment = ConfigDict()
    # none, contrast, invert, hflip, vflip, generated, duplicate, more; joined by + for equal shares, with arguments as
    # in contrast(factor=1.5)
    config.augment.policy = "none"
    config.augment.count = 1000  # images made by the policy, beside the originals; the paper has 1,000 or 2,000
    # The folder of the run whose GAN makes the `generated` images. Where there is none, it is trained first, on the
    # originals alone. Arms that name the same folder share it. Empty: the folder `generator` inside the workdir.
    config.augment.generator = ""

    config.model = ConfigDict()
    config.model.name = "dcgan"  # the networks, by their name in gan_da_jax/gan/networks.py; the paper has the DCGAN
    config.model.latent_dim = 100  # numbers the generator starts from; as in the DCGAN paper
    config.model.width = 64  # channels of the largest feature maps; as in the DCGAN paper
    # float32 | bfloat16: the type that layers compute in; parameters, statistics and losses are float32 with either.
    # bfloat16 is for GPUs and TPUs, where it is several times as fast; on a CPU it is slower.
    config.model.dtype = "float32"

    config.train = ConfigDict()
    # What both networks minimize, by its name in gan_da_jax/gan/losses.py. dcgan: cross-entropy, and the non-saturating
    # loss for the generator; as in the DCGAN paper.
    config.train.loss = "dcgan"
    config.train.batch_size = 64  # images a step, over all devices together
    config.train.epochs = 300  # passes over the data set, augmented images included
    config.train.kimg = 0.0  # if above 0: thousands of images shown, instead of epochs; the fair budget between arms
    # Epochs between checkpoints, and so between sample grids and scores; one more checkpoint at the end. With kimg,
    # these are epochs of the originals alone, so that all arms are scored after equally many images.
    config.train.checkpoint_every = 30
    # The newest checkpoints that are kept once they are scored, beside the best by FID (else KID, MIND). A run of the
    # default length has fewer, so another classifier can still score all of them; a long run does not fill the disk.
    config.train.keep = 20
    config.train.learning_rate = 2e-4  # Adam's, of both networks; as in the DCGAN paper
    config.train.beta1 = 0.5  # Adam's first decay rate; as in the DCGAN paper
    # Samples are drawn by an exponential moving average of the generator's parameters, with this half-life in thousands
    # of images shown, and with 5% of all that were shown so far where that is less; 0: by the generator as it was
    # trained. An average does not sway with the latest batches. 10 as in StyleGAN2-ADA; the paper's DCGAN has none.
    config.train.ema_kimg = 10.0

    config.evaluate = ConfigDict()
    config.evaluate.samples = 1000  # images generated for the scores; the paper has 1,000
    config.evaluate.repeats = 1  # sets of samples, each from its own latents; the spread between them is sampling noise
    # inception_v3_2015 (the network of the original IS and FID) | inception_v3 (Keras) | inception_v3_torchvision |
    # resnet50 | faces_attributes (built in, for procedural faces)
    config.evaluate.classifier = "inception_v3"
    config.evaluate.weights = ""  # the classifier's weight file; empty: the published one, from the cache or downloaded
    config.evaluate.tap = ""  # the layer whose features FID, KID and others compare; empty: the usual one, as 2048
    # Classes whose share among the samples is reported: names or numbers with commas, as in pomeranian,keeshond. With
    # the classifier resnet50 this is the paper's own next step. Empty: only the most frequent classes are reported.
    config.evaluate.classes = ""
    config.evaluate.splits = 10  # parts over which the Inception Score's mean and standard deviation are taken

    # The real images that FID, KID and others compare with. originals: the training images, as in the paper, which
    # rewards copying them. These compare with real images that nobody trains on, and with the originals as well:
    # heldout (what all arms of the study leave of the source, 100 to 10,000 images) | heldout(0.2) (this share of
    # data.count is set aside first: the run then trains on the rest) | a folder, .zip, .npz or .npy of images.
    config.evaluate.reference = "originals"

    config.study = ConfigDict()
    # Several sources of originals, each KIND:WHERE, as in zip:img_align_celeba.zip, folder:dogs or tfds:celeb_a. Empty:
    # the one that data.source names.
    config.study.sources = ()
    # The arms: POLICY@COUNT each, or none, which trains on the originals alone. These are the paper's twelve. A further
    # arm is a further line.
    config.study.arms = (
        "none",
        "contrast@1000",
        "invert@1000",
        "hflip@1000",
        "vflip@1000",
        "generated@1000",
        "contrast+hflip@1000",
        "contrast+generated@1000",
        "hflip+generated@1000",
        "contrast+hflip@2000",
        "contrast+generated@2000",
        "hflip+generated@2000",
    )
    # An arm may not be used, whatever it scores, where more than this share of its samples looks augmented, or is
    # copied, beyond what is seen without the augmentation (copies: of real images), with 95% confidence.
    config.study.leak_limit = 0.05
    config.study.copy_limit = 0.05
    config.study.controls = False  # also the arms duplicate and more, each with augment.count images
    # Runs at a time, each in a process of its own. Small networks leave room for others: at 32 px, width 16, two at a
    # time are 1.5 times as fast on two CPU cores; at 64 px, width 64, as fast as one after the other.
    config.study.processes = 1
    config.study.seeds = (0,)  # each arm is trained once with each; error bars need two, a claim needs more
    return config
