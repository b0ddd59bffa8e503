"""Taking out of a text what only its owner should read: paths, secrets and code."""
