"""The way in: how what a user gives becomes a call of the model, and of the loss."""
