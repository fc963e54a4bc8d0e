"""The command line, the orchestration of the stages, and the parity verdict."""
