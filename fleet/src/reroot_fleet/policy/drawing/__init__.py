"""Pictures as SVG: pure texts of values, readable without colour, dark where the reader's screen is."""
