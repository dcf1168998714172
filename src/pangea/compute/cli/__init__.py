"""The `pangea` command."""
