"""The parts of algorithms: goodness, objectives, handoff, supervision, inference rules, input preparation."""
