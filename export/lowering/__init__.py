"""Rewrites of a model's graph that keep its meaning and get it through a converter or onto a runtime: one file each."""
