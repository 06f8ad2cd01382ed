"""Every experiment as a configuration; the files are in configs/ at the top of the repository."""
