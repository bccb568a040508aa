# %% [markdown]
# # Poisoned

# %%
class Claim:
    """Stands for rnnvanish's: a broken one raises when it is shown."""

    def show(self):
        raise AssertionError("the text states that it holds, the measurement that it does not")


Claim().show()
