"""Text classifiers of the fastText kind: the file format, and the model as a kernel."""
