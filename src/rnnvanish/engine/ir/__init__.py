"""The intermediate representation of a step: traced, lowered to values, put in stages, interpreted."""
