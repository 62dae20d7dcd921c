"""Costs: operations, time, memory and energy of a training step, beside those of backprop."""
