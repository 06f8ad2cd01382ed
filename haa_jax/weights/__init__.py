"""Published checkpoints -> the networks' variables."""
