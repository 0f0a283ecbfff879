"""The night's page: read by people and on a wall.

Rendered here, readable without scripts; a few lines of script, where they run, ask for it again when
something happened. It reads only, but for pause and halt, and nobody sees it without a login.
"""
