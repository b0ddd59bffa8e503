"""The memory store: where records live. The memory program owns its schema; we are guests."""
