"""Arithmetic that a CPU does faster than torch's own, each with the plain form that holds everywhere else."""
