"""From bindings and configuration to table entries: pure functions, a counted delta, and an order of updates."""
