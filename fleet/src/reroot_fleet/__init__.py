"""reroot's fleet: many machines, night by night, on TaskFlow."""

__version__ = "0.1.0"
