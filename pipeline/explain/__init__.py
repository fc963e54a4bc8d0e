"""Where an artifact leaves the trained model: the first layer that diverges, found by taking both apart."""
