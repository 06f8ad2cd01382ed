"""Published checkpoints -> our variables."""
