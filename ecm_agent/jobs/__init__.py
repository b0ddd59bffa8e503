"""One verb a module: what the agent does, told in terms of stores, archives and destinations."""
