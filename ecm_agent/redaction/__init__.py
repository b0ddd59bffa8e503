"""What leaves a memory before it is shared: paths, code, secrets. Text in, text out; docs/redaction.md has the rules."""
