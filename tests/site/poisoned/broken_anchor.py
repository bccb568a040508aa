# %% [markdown]
# # Poisoned
#
# [nowhere](index.md#nowhere)

# %%
print(1)
