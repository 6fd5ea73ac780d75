"""The journal of bindings: what a node still knows after it was killed."""

from p4pmip.mobility.record import Change, Forget, Record
from p4pmip.store.error import JournalError, JournalReason
from p4pmip.store.journal import Journal
from p4pmip.store.latency import fsync_latency
from p4pmip.store.sqlite import SqliteJournal

__all__ = ["Change", "Forget", "Journal", "JournalError", "JournalReason", "Record", "SqliteJournal", "fsync_latency"]
