"""Whether a network like this one learns across so many steps."""
