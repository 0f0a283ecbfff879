"""TaskFlow's jobboards, guarded: a board is only a board, and may be lost at any moment."""
