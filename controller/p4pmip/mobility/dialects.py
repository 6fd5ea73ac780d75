"""The three dialects of GRE negotiation, as tables.

`draft-00` is draft-ietf-netlmm-grekey-option-00, `rfc5845` its final form with leniency towards a peer that speaks the
draft, `rfc5845-strict` the final form to the letter. Everything in which they differ stands in this module. The first
row that fits decides; the tables are total, and are expanded over their whole input product on import, so that a
decision is one look into a dictionary.

`Gre` names an option too: PLAIN is no GRE Key option, MODE one of Length 2, KEYED one of Length 6.
"""

from collections.abc import Callable
from enum import Enum, auto
from itertools import product
from typing import NamedTuple

from p4pmip.mobility.binding import Gre

PLAIN, MODE, KEYED = Gre.PLAIN, Gre.MODE, Gre.KEYED
ANY = frozenset(Gre)


class Dialect(Enum):
    """Which text governs the negotiation with a peer."""

    __hash__ = object.__hash__

    DRAFT_00 = "draft-00"
    RFC5845 = "rfc5845"
    RFC5845_STRICT = "rfc5845-strict"


# --- the LMA's table -------------------------------------------------------------------------------------------------


class Kind(Enum):
    """What a PBU is to the binding cache entry it was matched with."""

    __hash__ = object.__hash__

    INITIAL = "initial"
    REFRESH = "refresh"
    HANDOFF = "handoff"
    DEREGISTRATION = "deregistration"


class Verdict(Enum):
    """The GRE part of an answer; numbers are given to it by `Codepoints`."""

    ACCEPTED = auto()
    ACCEPTED_NOT_REQUIRED = auto()
    """Status 2, a success."""
    NOT_SUPPORTED = auto()
    """TBA1 of draft-00 §6.2."""
    REQUIRED = auto()
    """TBA2 of draft-00 §6.2, 163."""


class LmaDecision(NamedTuple):
    """What the LMA answers, and what the binding cache entry holds afterwards."""

    verdict: Verdict
    option: Gre = PLAIN
    """The GRE Key option of the PBA."""
    becomes: Gre = PLAIN
    counter: str | None = None
    """A counter to raise."""

    @property
    def refused(self) -> bool:
        """Whether the PBU is refused."""
        return self.verdict in (Verdict.NOT_SUPPORTED, Verdict.REQUIRED)


class _Lma(NamedTuple):
    """The inputs of the LMA's table."""

    kind: Kind
    option: Gre
    held: Gre
    wanted: Gre
    required: bool
    supported: bool


class _AsInitial:
    """The PBU is decided as an initial one with the same option."""


AS_INITIAL = _AsInitial()
_ACCEPT = LmaDecision(Verdict.ACCEPTED)
_ACCEPT_MODE = LmaDecision(Verdict.ACCEPTED, MODE, MODE)
_ACCEPT_KEY = LmaDecision(Verdict.ACCEPTED, KEYED, KEYED)
_STATUS_2 = LmaDecision(Verdict.ACCEPTED_NOT_REQUIRED)
_TBA1 = LmaDecision(Verdict.NOT_SUPPORTED)
_TBA2 = LmaDecision(Verdict.REQUIRED)
_KEEP_KEYS = LmaDecision(Verdict.ACCEPTED, PLAIN, KEYED)
_KEEP_MODE = LmaDecision(Verdict.ACCEPTED, PLAIN, MODE)
_WITHOUT_OPTION = "refresh_without_option"
_RETURN_KEY = LmaDecision(Verdict.ACCEPTED, KEYED, KEYED, _WITHOUT_OPTION)
_RETURN_MODE = LmaDecision(Verdict.ACCEPTED, MODE, MODE, _WITHOUT_OPTION)

_Outcome = LmaDecision | _AsInitial


class _LmaRow(NamedTuple):
    kind: Kind
    option: frozenset[Gre]
    held: frozenset[Gre]
    condition: Callable[[_Lma], bool]
    draft: _Outcome
    rfc: _Outcome
    strict: _Outcome | None = None
    """None: as `rfc`."""


def _always(_: _Lma) -> bool:
    return True


def _required(asked: _Lma) -> bool:
    return asked.required and asked.wanted is not PLAIN


def _key_required(asked: _Lma) -> bool:
    return asked.required and asked.wanted is KEYED


def _no_gre_at_all(asked: _Lma) -> bool:
    return not asked.supported


def _wants_none(asked: _Lma) -> bool:
    return asked.wanted is PLAIN


def _only(*options: Gre) -> frozenset[Gre]:
    return frozenset(options)


_LMA_ROWS = (
    _LmaRow(Kind.DEREGISTRATION, ANY, ANY, _always, _ACCEPT, _ACCEPT),
    _LmaRow(Kind.INITIAL, _only(PLAIN), ANY, _required, _TBA2, _TBA2),
    _LmaRow(Kind.INITIAL, _only(PLAIN), ANY, _always, _ACCEPT, _ACCEPT),
    _LmaRow(Kind.INITIAL, _only(MODE, KEYED), ANY, _no_gre_at_all, _TBA1, _ACCEPT),
    _LmaRow(Kind.INITIAL, _only(MODE, KEYED), ANY, _wants_none, _ACCEPT, _STATUS_2),
    _LmaRow(Kind.INITIAL, _only(KEYED), ANY, _always, _ACCEPT_KEY, _ACCEPT_KEY),
    _LmaRow(Kind.INITIAL, _only(MODE), ANY, _key_required, _TBA2, _TBA2),
    _LmaRow(Kind.INITIAL, _only(MODE), ANY, _always, _ACCEPT_MODE, _ACCEPT_MODE),
    _LmaRow(Kind.REFRESH, _only(KEYED), _only(KEYED), _always, _ACCEPT_KEY, _ACCEPT_KEY),
    _LmaRow(Kind.REFRESH, _only(KEYED), _only(MODE, PLAIN), _always, AS_INITIAL, AS_INITIAL),
    _LmaRow(Kind.REFRESH, _only(MODE), _only(KEYED), _key_required, _TBA2, _TBA2),
    _LmaRow(Kind.REFRESH, _only(MODE), _only(KEYED, MODE), _always, _ACCEPT_MODE, _ACCEPT_MODE),
    _LmaRow(Kind.REFRESH, _only(MODE), _only(PLAIN), _always, AS_INITIAL, AS_INITIAL),
    _LmaRow(Kind.REFRESH, _only(PLAIN), _only(KEYED), _required, _KEEP_KEYS, _RETURN_KEY, _TBA2),
    _LmaRow(Kind.REFRESH, _only(PLAIN), _only(KEYED), _always, _KEEP_KEYS, _RETURN_KEY),
    _LmaRow(Kind.REFRESH, _only(PLAIN), _only(MODE), _required, _KEEP_MODE, _RETURN_MODE, _TBA2),
    _LmaRow(Kind.REFRESH, _only(PLAIN), _only(MODE), _always, _KEEP_MODE, _RETURN_MODE),
    _LmaRow(Kind.REFRESH, _only(PLAIN), _only(PLAIN), _always, AS_INITIAL, AS_INITIAL),
    _LmaRow(Kind.HANDOFF, _only(KEYED), _only(KEYED), _always, _ACCEPT_KEY, _ACCEPT_KEY),
    _LmaRow(Kind.HANDOFF, _only(KEYED), _only(MODE, PLAIN), _always, AS_INITIAL, AS_INITIAL),
    _LmaRow(Kind.HANDOFF, _only(MODE), _only(KEYED), _key_required, _TBA2, _TBA2),
    _LmaRow(Kind.HANDOFF, _only(MODE), ANY, _always, AS_INITIAL, AS_INITIAL),
    _LmaRow(Kind.HANDOFF, _only(PLAIN), _only(KEYED), _required, _TBA2, _TBA2),
    _LmaRow(Kind.HANDOFF, _only(PLAIN), _only(KEYED), _always, _TBA2, _ACCEPT),
    _LmaRow(Kind.HANDOFF, _only(PLAIN), _only(MODE, PLAIN), _always, AS_INITIAL, AS_INITIAL),
)


def _decide(dialect: Dialect, asked: _Lma) -> LmaDecision:
    for row in _LMA_ROWS:
        if row.kind is asked.kind and asked.option in row.option and asked.held in row.held and row.condition(asked):
            outcome: _Outcome = row.draft if dialect is Dialect.DRAFT_00 else row.rfc
            if dialect is Dialect.RFC5845_STRICT and row.strict is not None:
                outcome = row.strict
            if isinstance(outcome, _AsInitial):
                return _decide(dialect, asked._replace(kind=Kind.INITIAL))
            return outcome
    raise AssertionError(asked)


_LMA_DECISIONS = {
    (dialect, *asked): _decide(dialect, asked)
    for dialect in Dialect
    for asked in map(_Lma._make, product(Kind, Gre, Gre, Gre, (False, True), (False, True)))
}


def lma_decision(
    dialect: Dialect, kind: Kind, option: Gre, held: Gre, wanted: Gre, required: bool, supported: bool
) -> LmaDecision:
    """What an LMA does about GRE for a PBU that passed the checks of RFC 5213.

    Args:
        dialect: Agreed with the MAG.
        kind: What the PBU is.
        option: Its GRE Key option.
        held: What the binding cache entry has; PLAIN for an initial PBU.
        wanted: The policy check's result.
        required: Whether the policy insists.
        supported: False for an LMA without GRE.
    """
    return _LMA_DECISIONS[dialect, kind, option, held, wanted, required, supported]


# --- the MAG's table -------------------------------------------------------------------------------------------------


class Answer(Enum):
    """What the status of a PBA says about GRE; the classes are disjoint."""

    ACCEPTED = auto()
    """Below 128 and not 2."""
    NOT_REQUIRED = auto()
    """2."""
    NOT_SUPPORTED = auto()
    """TBA1."""
    REQUIRED = auto()
    """TBA2, 163."""
    REFUSED = auto()
    """Any other from 128 on."""


class Action(Enum):
    """What the MAG does with the session."""

    PLAIN = auto()
    MODE = auto()
    KEYED = auto()
    """GRE with the downlink key that was sent and the uplink key that came."""
    KEEP = auto()
    UPDATE = auto()
    """Keep, with the uplink key that came (draft-00 §4.2: compare and update)."""
    DEREGISTER = auto()
    RESEND_WITHOUT = auto()
    """Once, if the policy allows a plain session."""
    RESEND_WITH = auto()
    """Once per refused PBU, if the MAG can; else as ALARM."""
    ALARM = auto()
    """A possible misconfiguration: the session is refused."""
    REFUSED = auto()
    """RFC 5213 §6.9.1.2."""


class Memo(Enum):
    """For which later PBUs the MAG remembers to leave the option out."""

    SESSION = auto()
    LMA = auto()
    MOBILE_NODE = auto()
    """This mobile node's, to this LMA."""


class MagDecision(NamedTuple):
    """What the MAG makes of a PBA."""

    action: Action
    memo: Memo | None = None
    counter: str | None = None


_ALL = frozenset((*Gre, None))
_SUCCESS = frozenset((Answer.ACCEPTED, Answer.NOT_REQUIRED))
_BOTH = frozenset((False, True))
_DRAFT, _FINAL = frozenset((True,)), frozenset((False,))


class _MagRow(NamedTuple):
    draft: frozenset[bool]
    sent: frozenset[Gre]
    answer: frozenset[Answer]
    option: frozenset[Gre]
    held: frozenset[Gre | None]
    decision: MagDecision


_OFFERED = _only(MODE, KEYED)
_NONE, _A, _N = _only(PLAIN), frozenset((Answer.ACCEPTED,)), frozenset((Answer.NOT_REQUIRED,))
_NEW: frozenset[Gre | None] = frozenset((PLAIN, None))
_HAS_GRE: frozenset[Gre | None] = frozenset((MODE, KEYED))

_MAG_ROWS = (
    # A status of 2 with an option: draft-00 does not know the status, RFC 5845 does not allow the option.
    _MagRow(_FINAL, _OFFERED, _N, _OFFERED, _ALL, MagDecision(Action.PLAIN, Memo.SESSION, "option_with_status_2")),
    _MagRow(_BOTH, _only(KEYED), _SUCCESS, _only(KEYED), _ALL, MagDecision(Action.KEYED)),
    _MagRow(_BOTH, _only(KEYED), _SUCCESS, _only(MODE), _ALL, MagDecision(Action.MODE, None, "uplink_key_missing")),
    _MagRow(_BOTH, _only(MODE), _SUCCESS, _only(MODE), _ALL, MagDecision(Action.MODE)),
    _MagRow(_BOTH, _only(MODE), _SUCCESS, _only(KEYED), _ALL, MagDecision(Action.DEREGISTER, None, "unrequested_key")),
    _MagRow(_DRAFT, _OFFERED, _SUCCESS, _NONE, _ALL, MagDecision(Action.PLAIN)),
    _MagRow(_FINAL, _OFFERED, _N, _NONE, _ALL, MagDecision(Action.PLAIN, Memo.SESSION)),
    _MagRow(_FINAL, _OFFERED, _A, _NONE, _ALL, MagDecision(Action.PLAIN, Memo.LMA)),
    _MagRow(
        _DRAFT,
        _OFFERED,
        frozenset((Answer.NOT_SUPPORTED,)),
        ANY,
        _ALL,
        MagDecision(Action.RESEND_WITHOUT, Memo.MOBILE_NODE),
    ),
    _MagRow(_BOTH, _only(PLAIN, MODE), frozenset((Answer.REQUIRED,)), ANY, _ALL, MagDecision(Action.RESEND_WITH)),
    _MagRow(_BOTH, _only(KEYED), frozenset((Answer.REQUIRED,)), ANY, _ALL, MagDecision(Action.ALARM)),
    _MagRow(_BOTH, _NONE, _SUCCESS, _NONE, _NEW, MagDecision(Action.PLAIN)),
    _MagRow(_DRAFT, _NONE, _SUCCESS, _NONE, _HAS_GRE, MagDecision(Action.KEEP)),
    _MagRow(_FINAL, _NONE, _N, _NONE, _HAS_GRE, MagDecision(Action.PLAIN, Memo.SESSION)),
    _MagRow(_FINAL, _NONE, _A, _NONE, _HAS_GRE, MagDecision(Action.KEEP, None, "peer_without_option")),
    _MagRow(_BOTH, _NONE, _SUCCESS, _only(KEYED), frozenset((KEYED,)), MagDecision(Action.UPDATE)),
    _MagRow(_BOTH, _NONE, _SUCCESS, _only(MODE), frozenset((MODE,)), MagDecision(Action.KEEP)),
    _MagRow(_BOTH, _NONE, _SUCCESS, ANY, _HAS_GRE, MagDecision(Action.KEEP, None, "unexpected_option")),
    _MagRow(_BOTH, _NONE, _SUCCESS, ANY, _NEW, MagDecision(Action.PLAIN, None, "unexpected_option")),
    _MagRow(_BOTH, ANY, frozenset(Answer), ANY, _ALL, MagDecision(Action.REFUSED)),
)


def _judge(draft: bool, sent: Gre, answer: Answer, option: Gre, held: Gre | None) -> MagDecision:
    for row in _MAG_ROWS:
        if (
            draft in row.draft
            and sent in row.sent
            and answer in row.answer
            and option in row.option
            and held in row.held
        ):
            return row.decision
    raise AssertionError((draft, sent, answer, option, held))


_MAG_DECISIONS = {
    (dialect, sent, answer, option, held): _judge(dialect is Dialect.DRAFT_00, sent, answer, option, held)
    for dialect, sent, answer, option, held in product(Dialect, Gre, Answer, Gre, (*Gre, None))
}


def mag_decision(dialect: Dialect, sent: Gre, answer: Answer, option: Gre, held: Gre | None) -> MagDecision:
    """What a MAG makes of the GRE side of a PBA.

    Args:
        dialect: Agreed with the LMA.
        sent: The option of the PBU.
        answer: The class of the PBA's status.
        option: The option of the PBA.
        held: What the binding update list entry has; None for one that has not been accepted yet.
    """
    return _MAG_DECISIONS[dialect, sent, answer, option, held]


def refresh_with_option(dialect: Dialect, held: Gre) -> bool:
    """Whether a refresh carries the option: draft-00 §3.3.2 SHOULD NOT, RFC 5845 §3.3.2 MUST."""
    return held is not PLAIN and dialect is not Dialect.DRAFT_00


def tlv_known(dialect: Dialect) -> bool:
    """Whether the T flag and status 3 mean anything (RFC 5845 §7)."""
    return dialect is not Dialect.DRAFT_00
