"""Does a target answer as the trained model does: comparing, tolerances, the verdict and the report."""
