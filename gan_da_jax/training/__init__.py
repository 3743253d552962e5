"""The GAN on the devices: the training loop, how images are fed to it, and samples."""
