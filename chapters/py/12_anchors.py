# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 12 · Anchors
#
# **Question. Where may a detector look, and who decides which look was right?**
