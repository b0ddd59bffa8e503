"""Telling others about a run: commands of the user's own, a dead-man's switch, messages.

No ping and no message, not even one whose address cannot be had, can harm a backup that nobody attends.
"""
