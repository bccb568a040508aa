# %% [markdown]
# # Poisoned

# %%
object()
