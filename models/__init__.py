"""The models of the project, one file each."""
