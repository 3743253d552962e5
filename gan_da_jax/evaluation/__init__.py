"""The scores of a checkpoint, and the meters that they need."""
