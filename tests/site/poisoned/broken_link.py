# %% [markdown]
# # Poisoned
#
# [nowhere](nowhere.md)

# %%
print(1)
