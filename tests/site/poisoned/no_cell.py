# %% [markdown]
# # Poisoned
#
# No cell runs here.
