"""One value, the report, and a pure renderer for each place where it is read."""
