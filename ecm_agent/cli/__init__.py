"""The face: argv → one call → exit code, and the only place that prints. One file for each group of commands."""
