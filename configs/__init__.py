"""Every experiment as a configuration; the files lie in configs/ at the top of the repository."""
