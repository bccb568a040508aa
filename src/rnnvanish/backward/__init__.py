"""What is made of a recorded run: gradients by its states, a replay of its steps, the recurrent path."""
