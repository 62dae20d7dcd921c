"""Streaming: images of a named set that are read and decoded during training, in a shuffled order."""
