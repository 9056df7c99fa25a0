# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 20 · Quantization-aware training
#
# **Question. Rounding has no slope. How can a network learn to live with it?**
#
# After this chapter you can
#
# 1. say which weights a straight-through gradient reaches, and which not (exercise 20.1)
# 2. train the range of an activation, and the size of a step (exercise 20.3)
# 3. tell post-training quantization from quantization-aware training, and when the first is enough (quiz)
# 4. spread a budget of bits over the layers of a network (exercise 20.2)
# 5. see why a weight between two steps does not come to rest (exercise 20.4)
#
# | study | run | peak memory | needs |
# |---|---|---|---|
# | about 90 min (estimate) | <!-- run -->not measured yet<!-- /run --> | <!-- peak -->not measured yet<!-- /peak --> | no download; starts alone |
#
# Open in: <!-- badges -->not published yet: `make badges REPO=owner/name` writes the badges<!-- /badges -->
