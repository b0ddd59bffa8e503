"""Backups that have been read back, for a coding assistant's long-term memory."""

__version__ = "0.1.0"
