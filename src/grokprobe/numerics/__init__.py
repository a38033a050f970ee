"""Pure functions: tensors in, tensors out. They know no dataset, no files and no context."""
