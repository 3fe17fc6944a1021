"""Fits, intervals, bootstrap, sampling: pure functions over numpy arrays."""
