# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 19 · Quantize
#
# **Question. How few bits does a number need, and who decides where they go?**
#
# After this chapter you can
#
# 1. quantize five numbers by hand, and say why zero has to be exact (exercise 19.1)
# 2. fit a grid to a matrix, outer product by outer product (exercise 19.3)
# 3. say what a bit is worth in decibels, and what an outlier costs (exercise 19.2, quiz)
# 4. fold a batch norm into the convolution before it (exercise 19.4)
# 5. choose a granularity and an observer for a layer (quiz)
#
# | study | run | peak memory | needs |
# |---|---|---|---|
# | about 90 min (estimate) | <!-- run -->not measured yet<!-- /run --> | <!-- peak -->not measured yet<!-- /peak --> | no download; starts alone |
#
# Open in: <!-- badges -->not published yet: `make badges REPO=owner/name` writes the badges<!-- /badges -->

