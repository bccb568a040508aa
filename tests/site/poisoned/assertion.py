# %% [markdown]
# # Poisoned

# %%
assert False
