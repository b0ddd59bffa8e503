"""Telling others about a run: commands of the user's own, a dead-man's switch, messages. None can harm a backup."""
