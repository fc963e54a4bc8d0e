"""Choosing a variant of a model: what it may cost in quality, what each one weighs, and which are worth a look."""
