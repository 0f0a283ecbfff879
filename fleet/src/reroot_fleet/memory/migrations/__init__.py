"""Alembic's place for the migrations."""
