"""Passages of known form: personal data and secrets, where they stand and what to put in their place."""
