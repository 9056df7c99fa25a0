# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 17 · Sparsity
#
# **Question. Nine weights of ten are zero. What have we saved?**
