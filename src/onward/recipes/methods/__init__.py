"""Rows method by method: a file each, with the tuple ROWS."""
