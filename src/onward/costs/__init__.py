"""Costs: what a training step takes in operations, time, memory and energy, beside backprop's."""
