"""The second set of answers from the task texts."""
