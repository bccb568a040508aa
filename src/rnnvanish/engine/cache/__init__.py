"""What is kept of a step, how it is known again, and when it is out of date."""
