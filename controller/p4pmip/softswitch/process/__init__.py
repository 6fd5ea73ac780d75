"""The switch as a program: forwarding in a process of its own, gRPC in another, so that neither starves the other."""
