"""The edges: files, registry, Beam, quality checks, evidence and the command line. Nothing is imported here."""
