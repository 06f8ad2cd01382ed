"""Measurements behind the speed claims of README; each prints ratios from one run."""
