# ---
# description: A page with a colon: without quotes
# ---

# %% [markdown]
# # Poisoned

# %%
print(1)
