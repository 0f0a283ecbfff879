"""The commands for people: each says in one line what it did, and the same as JSON."""
