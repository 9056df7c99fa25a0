"""The first set of answers from the task texts."""
