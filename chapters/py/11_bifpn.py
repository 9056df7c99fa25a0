# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 11 · BiFPN
#
# **Question. A detector looks at five maps of five sizes. How should they talk to each other?**
