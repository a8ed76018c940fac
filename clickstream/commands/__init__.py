"""Operator commands: `python -m clickstream <command>`; each module here is one."""
