"""The networks as flax.linen modules, one file each."""
