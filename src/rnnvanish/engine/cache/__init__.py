"""What is kept of a step on disk, how it is known again, and the guards that say when a program is out of date."""
