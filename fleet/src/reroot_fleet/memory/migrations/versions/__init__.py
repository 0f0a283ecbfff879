"""One file a schema, numbered."""
