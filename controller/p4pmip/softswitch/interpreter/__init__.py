"""The reference executor: a program becomes Python source, once plain and, when something is traced, once traced."""

from p4pmip.softswitch.interpreter.executor import Interpreter as Interpreter
