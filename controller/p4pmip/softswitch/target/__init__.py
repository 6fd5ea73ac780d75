"""The P4Runtime target: what a controller may ask of a pipeline, without gRPC, sockets or clocks."""
