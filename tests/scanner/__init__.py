"""A scanner that is not ours (prowler) over what a stack has created on the local cloud.

It has an environment of its own, `.venv-scan`, since it pins libraries older than firstbell's.
"""
