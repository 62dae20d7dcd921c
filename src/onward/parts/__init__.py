"""What algorithms are composed of: goodness, objectives, handoff, supervision, inference rules, input preparation."""
