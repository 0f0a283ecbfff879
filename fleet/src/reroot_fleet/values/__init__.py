"""Values of the fleet: frozen dataclasses, enums and the parsers of documents.

Imports nothing else of the fleet. Everything here can be made in a test with a line.
"""
