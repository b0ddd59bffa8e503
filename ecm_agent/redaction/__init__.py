"""Text without its code, secrets and paths."""
