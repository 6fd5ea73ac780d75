"""Simple Test Framework files: entries, packets and what is expected of them, played against a target."""
