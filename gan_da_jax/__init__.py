"""Which data augmentation should a GAN be trained on, when there are about 1,000 images?"""

__version__ = "0.1.0"
