"""The measurements for README's claims; each prints ratios from a single run."""
