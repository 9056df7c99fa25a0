"""The first set. A second reader took out what was judged by more than its text.

Three wrong answers that are right by the text: a schedule that gives a tensor, an
average that fails only where a kernel is smaller than its stride, a score in float32.
Four right ones of 13.5, whose reader had not been given the names of the layers.
"""
