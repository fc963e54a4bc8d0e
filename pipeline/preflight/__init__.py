"""Preflight: for each target and precision, will it run, and if not, which operation of which layer is in the way."""
