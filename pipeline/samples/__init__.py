"""Samples for a model that came without its data: read from the user's files, or made up from its signature."""
