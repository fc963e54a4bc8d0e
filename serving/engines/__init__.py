"""The ways to run a model server: a container, the installed binary, or our own embedded one."""
