"""The ground floor: nouns, the method base, parameters, artifacts, fingerprints, units, errors.

Imports nothing of ours.
"""
