"""What all packages agree on: the only part of `pipeline` that code outside it may import."""
