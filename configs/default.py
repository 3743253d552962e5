"""Every field of a config, with its unit and the reason for its default: the paper's wherever it gives one.

Your own config is a file with a `get_config()` that changes a copy of this one, see `celeba.py`. Any field can also be
set on the command line, after `--config`: `--config.train.epochs=30`.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The paper's DCGAN at 128 px, on the built-in procedural faces, without augmentation."""
    config = ConfigDict()
    config.seed = 0  # 0 to 2**32 - 1; everything random in a run follows from it, the choice of the originals too

    config.data = ConfigDict()
    config.data.source = "faces"  # faces (procedural, needs no data) | folder | zip | tfds (TensorFlow Datasets)
    config.data.path = ""  # the folder or zip file; empty for faces; for tfds its data folder, empty for the usual one
    # The data set's name in tfds, as in celeb_a or cifar10:3.0.2; with #LABEL, only the images of that class, as in
    # oxford_iiit_pet#pomeranian. Empty for other sources.
    config.data.dataset = ""
    config.data.count = 1000  # originals, chosen by seed; the paper has 1,000
    config.data.image_size = 128  # pixels: 32, 64, 128 or 256; the paper has 128
    config.data.resize = "stretch"  # stretch (as in the paper) | center_crop (largest centred square first)
    config.data.skip_bad = False  # leave unreadable and duplicate files out, and record them, instead of stopping

    # Megabytes of images that a device may hold; a larger data set is streamed, and trained on bit for bit the same (on
    # a CPU). 0: half of the device's memory, where it tells.
    config.data.resident_mb = 0.0

    config.augment = ConfigDict()
    # none, contrast, invert, hflip, vflip, generated, duplicate, more; joined by + for equal shares, with arguments as
    # in contrast(factor=1.5)
    config.augment.policy = "none"
    config.augment.count = 1000  # images made by the policy, beside the originals; the paper has 1,000 or 2,000
    # The run whose GAN makes the `generated` images; it is trained on the originals alone if it is not there yet. Arms
    # that name the same one share it. Empty: a folder `generator` inside the workdir.
    config.augment.generator = ""

    config.model = ConfigDict()
    config.model.latent_dim = 100  # numbers the generator starts from; as in the DCGAN paper
    config.model.width = 64  # channels of the largest feature maps; as in the DCGAN paper
    # float32 | bfloat16: what layers compute in; parameters, statistics and losses are float32 with either. bfloat16 is
    # for GPUs and TPUs, where it is several times as fast; on a CPU it is slower.
    config.model.dtype = "float32"

    config.train = ConfigDict()
    config.train.batch_size = 64  # images a step, over all devices together
    config.train.epochs = 300  # passes over the data set, augmented images included
    config.train.kimg = 0.0  # if above 0: thousands of images shown, in place of epochs; the fair budget between arms
    # Epochs between checkpoints, sample grids and so scores; one more at the end. With kimg they are counted on the
    # originals alone, so that all arms are looked at after equally many images.
    config.train.checkpoint_every = 30
    # Checkpoints kept once they are scored: the newest so many, and the best by FID (else KID). More than a run of the
    # default length has, so that it can be scored anew by another classifier, and long runs do not fill the disk.
    config.train.keep = 20
    config.train.learning_rate = 2e-4  # Adam's, of both networks; as in the DCGAN paper
    config.train.beta1 = 0.5  # Adam's first decay rate; as in the DCGAN paper

    config.evaluate = ConfigDict()
    config.evaluate.samples = 1000  # images generated for the scores; the paper has 1,000
    config.evaluate.repeats = (
        1  # sets of samples, from latents of their own: their spread is what a score owes to chance
    )
    # inception_v3_2015 (the network of the original IS and FID) | inception_v3 (Keras) | inception_v3_torchvision |
    # resnet50 | faces_attributes (built in, for procedural faces)
    config.evaluate.classifier = "inception_v3"
    config.evaluate.weights = ""  # the classifier's published weight file; empty: the cache, or else a download
    config.evaluate.tap = ""  # the layer whose features FID, KID and so on compare; empty: the usual, 2048 of Inception
    # Classes whose share among the samples is reported, by name or number and with commas, as in pomeranian,keeshond;
    # the paper's own next step, with the classifier resnet50. Empty: only the most frequent classes are.
    config.evaluate.classes = ""
    config.evaluate.splits = 10  # parts that the Inception Score's mean and standard deviation are taken over

    config.study = ConfigDict()
    # Where the originals come from, for several sources: each KIND:WHERE, as in zip:img_align_celeba.zip, folder:dogs
    # or tfds:celeb_a. Empty: data.source alone.
    config.study.sources = ()
    # The arms, POLICY@COUNT each, or none; the paper's twelve. Another arm is another line.
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
    config.study.controls = False  # also duplicate and more, each with augment.count images
    # Runs at a time, each by a process of its own. Small networks leave room for others: at 32 px, width 16, two at a
    # time are 1.5 times as fast on two CPU cores; at 64 px, width 64, as fast as one after the other.
    config.study.processes = 1
    config.study.seeds = (0,)  # each arm is trained once with each; error bars need two, a conclusion more
    return config
