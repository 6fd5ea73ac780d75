"""What p4c-bm2-ss writes (BMv2 JSON), compiled into the softswitch's own representation."""

from p4pmip.softswitch.bmv2.program import compile_program as compile_program
