"""How bytes reach the disk and come back: JSON, arrays, pictures, checkpoints, tensors, and what they must hold."""
