"""What quality rules count, and the line rules of RefinedWeb: one file a definition."""
