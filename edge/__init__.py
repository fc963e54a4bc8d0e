"""The edge CPU: a runner process that can be copied to a device, and the two TFLite runtimes it drives."""
