"""The live view: a read-only page that shows nodes, sessions, signalling, tables and drops as they are."""
