# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 16 · COCO eval
#
# **Question. Is this detector better than that one, and by how much?**
