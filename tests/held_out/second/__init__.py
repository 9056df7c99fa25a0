"""The second set, which decides after mending.

Before mending, of 489 wrong answers 2 were accepted, and of 225 right ones 2 refused
(13.5, whose reader had not been given the names of the layers; they are taken out).
"""
