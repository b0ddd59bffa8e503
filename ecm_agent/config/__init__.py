"""Configuration: from a file, the environment and the command line to checked settings, and to the password."""
