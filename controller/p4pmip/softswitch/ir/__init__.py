"""The representation between what p4c compiled and what executes it.

A program is slots, and code over slots. Every field and every validity flag is one slot: a non-negative integer of a
known width (a signed field holds its signed value). A header is a run of slots, its validity flag first; the elements
of a stack follow each other at a fixed stride, so that an index known only at run time is an addition. Expressions are
evaluated with unlimited precision, as the BMv2 JSON defines them, and wrapped where they are assigned; `span` tells how
many bits a value can need, so that an executor with machine words can choose them beforehand.

Nothing here knows BMv2's JSON, P4Runtime or how code is run.
"""

from p4pmip.softswitch.ir.calculation import Bits as Bits
from p4pmip.softswitch.ir.calculation import Calculation as Calculation
from p4pmip.softswitch.ir.calculation import Payload as Payload
from p4pmip.softswitch.ir.calculation import WholeHeader as WholeHeader
from p4pmip.softswitch.ir.expression import TRUTH as TRUTH
from p4pmip.softswitch.ir.expression import UNBOUNDED_SHIFT as UNBOUNDED_SHIFT
from p4pmip.softswitch.ir.expression import Argument as Argument
from p4pmip.softswitch.ir.expression import Binary as Binary
from p4pmip.softswitch.ir.expression import Choose as Choose
from p4pmip.softswitch.ir.expression import Const as Const
from p4pmip.softswitch.ir.expression import Expression as Expression
from p4pmip.softswitch.ir.expression import Indexed as Indexed
from p4pmip.softswitch.ir.expression import Peek as Peek
from p4pmip.softswitch.ir.expression import Saturate as Saturate
from p4pmip.softswitch.ir.expression import Slot as Slot
from p4pmip.softswitch.ir.expression import Target as Target
from p4pmip.softswitch.ir.expression import Unary as Unary
from p4pmip.softswitch.ir.expression import Wrap as Wrap
from p4pmip.softswitch.ir.expression import span as span
from p4pmip.softswitch.ir.program import Action as Action
from p4pmip.softswitch.ir.program import ActionCall as ActionCall
from p4pmip.softswitch.ir.program import Block as Block
from p4pmip.softswitch.ir.program import Checksum as Checksum
from p4pmip.softswitch.ir.program import Condition as Condition
from p4pmip.softswitch.ir.program import ConstEntry as ConstEntry
from p4pmip.softswitch.ir.program import Control as Control
from p4pmip.softswitch.ir.program import FieldList as FieldList
from p4pmip.softswitch.ir.program import KeyField as KeyField
from p4pmip.softswitch.ir.program import MatchKind as MatchKind
from p4pmip.softswitch.ir.program import MeterArray as MeterArray
from p4pmip.softswitch.ir.program import Node as Node
from p4pmip.softswitch.ir.program import ParserState as ParserState
from p4pmip.softswitch.ir.program import Profile as Profile
from p4pmip.softswitch.ir.program import Program as Program
from p4pmip.softswitch.ir.program import Selector as Selector
from p4pmip.softswitch.ir.program import Table as Table
from p4pmip.softswitch.ir.program import Transition as Transition
from p4pmip.softswitch.ir.program import ValueSet as ValueSet
from p4pmip.softswitch.ir.statement import Advance as Advance
from p4pmip.softswitch.ir.statement import Assert as Assert
from p4pmip.softswitch.ir.statement import Assign as Assign
from p4pmip.softswitch.ir.statement import Clone as Clone
from p4pmip.softswitch.ir.statement import CopyHeader as CopyHeader
from p4pmip.softswitch.ir.statement import CopyStack as CopyStack
from p4pmip.softswitch.ir.statement import Count as Count
from p4pmip.softswitch.ir.statement import Digest as Digest
from p4pmip.softswitch.ir.statement import ExecuteMeter as ExecuteMeter
from p4pmip.softswitch.ir.statement import Exit as Exit
from p4pmip.softswitch.ir.statement import Extract as Extract
from p4pmip.softswitch.ir.statement import ExtractNext as ExtractNext
from p4pmip.softswitch.ir.statement import Hash as Hash
from p4pmip.softswitch.ir.statement import HeaderAt as HeaderAt
from p4pmip.softswitch.ir.statement import Log as Log
from p4pmip.softswitch.ir.statement import Pop as Pop
from p4pmip.softswitch.ir.statement import Push as Push
from p4pmip.softswitch.ir.statement import Random as Random
from p4pmip.softswitch.ir.statement import Recirculate as Recirculate
from p4pmip.softswitch.ir.statement import RegisterRead as RegisterRead
from p4pmip.softswitch.ir.statement import RegisterWrite as RegisterWrite
from p4pmip.softswitch.ir.statement import Resubmit as Resubmit
from p4pmip.softswitch.ir.statement import SetValid as SetValid
from p4pmip.softswitch.ir.statement import Statement as Statement
from p4pmip.softswitch.ir.statement import Truncate as Truncate
from p4pmip.softswitch.ir.statement import Verify as Verify
from p4pmip.softswitch.ir.storage import NOWHERE as NOWHERE
from p4pmip.softswitch.ir.storage import Field as Field
from p4pmip.softswitch.ir.storage import Header as Header
from p4pmip.softswitch.ir.storage import Place as Place
from p4pmip.softswitch.ir.storage import Stack as Stack
