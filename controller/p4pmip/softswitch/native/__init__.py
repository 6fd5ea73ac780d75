"""The native executor: a program becomes machine code with llvmlite, from the same representation as the interpreter.

What a packet needs that machine code does not do (clones, digests, registers, configured meters, varbit fields …) is
not half done: such a packet is given to the interpreter from its beginning, before it has left any trace.
"""
