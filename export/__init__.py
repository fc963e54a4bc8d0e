"""Writers of deployable artifacts, one file for each `<target>_from_<source>`."""
