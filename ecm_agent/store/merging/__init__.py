"""What two memories know together: the causal merge, and what a replacement would change."""
