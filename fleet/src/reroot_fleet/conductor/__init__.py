"""A conductor: claims jobs, runs their flows, keeps the night. Any number of them, killed at will."""
