# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 18 · Channel pruning
#
# **Question. Half of the channels do most of the work. How does a network get rid of the others, and is it then really faster?**
