# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 14 · Detection loss
#
# **Question. What should a detector be punished for, when nearly everything it looks at is nothing?**
