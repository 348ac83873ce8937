"""Moves a learning management system from its own machines to AWS, with a way back until commit."""
