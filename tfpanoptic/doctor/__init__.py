"""What is wrong with data, and what a configuration can reach on them, before any training."""
