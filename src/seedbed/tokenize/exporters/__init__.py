"""A shelf: one format of other trainers a file, file name = method name."""
