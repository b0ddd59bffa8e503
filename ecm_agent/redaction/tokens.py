"""What stands where something was taken out."""

MARK = "[REDACTED_"
"""As every token begins; no token is ever a part of what is found."""

PATH = f"{MARK}PATH]"
CODE = f"{MARK}CODE]"
SECRET = f"{MARK}SECRET]"

FENCED_CODE = f"```\n{CODE}\n```"
"""What stands where a whole block of code was."""
