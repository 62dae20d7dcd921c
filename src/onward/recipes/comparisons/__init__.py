"""Rows of many methods on one budget."""
