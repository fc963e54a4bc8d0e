"""Comparing what the targets answered, and the verdict."""
