# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 21 · Integer arithmetic
#
# **Question. How does a network compute when there are only integers?**
#
# After this chapter you can
#
# 1. compute a convolution in eight bits by hand, zero points and all (exercise 21.1)
# 2. write a real factor as a multiplier and a shift, with enough bits (exercise 21.2)
# 3. move a zero point into a bias, and a threshold into an integer (exercises 21.3, 21.4)
# 4. say when an accumulator overflows (quiz)
#
# | study | run | peak memory | needs |
# |---|---|---|---|
# | about 85 min (estimate) | <!-- run -->not measured yet<!-- /run --> | <!-- peak -->not measured yet<!-- /peak --> | no download; starts alone |
#
# Open in: <!-- badges -->not published yet: `make badges REPO=owner/name` writes the badges<!-- /badges -->
