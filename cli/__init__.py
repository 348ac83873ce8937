"""The command line of firstbell."""
