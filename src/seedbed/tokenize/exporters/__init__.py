"""Formats of other trainers."""
