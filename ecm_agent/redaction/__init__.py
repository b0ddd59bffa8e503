"""What leaves a text before it is shared: paths, code, secrets. Text in, text out; docs/redaction.md has the rules."""
