"""onward: train deep networks layer by layer, with no backward pass through the network."""
