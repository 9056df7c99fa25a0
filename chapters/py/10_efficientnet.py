# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 10 · EfficientNet
#
# **Question. You may spend twice as much on a network. Should it become deeper, wider, or look at larger pictures?**
