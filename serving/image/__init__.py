"""Our embedded server as a container image, for machines and networks without `tensorflow/serving`."""
