"""The trial: what the rules left open is timed and weighed on this machine."""
