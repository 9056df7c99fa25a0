# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 15 · Decoding
#
# **Question. A detector gives thousands of boxes for one digit. Which one do we show?**
