"""A machine's turn as a TaskFlow flow: its atoms, their patience, what is undone, and its versions."""
