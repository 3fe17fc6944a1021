"""What texts share: shingles, groups of equals, repeated passages, benchmark items."""
