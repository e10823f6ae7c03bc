"""The AWS front: signatures, wire formats and actions."""
