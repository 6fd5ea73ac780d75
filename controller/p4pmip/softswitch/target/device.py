"""The device: one P4Runtime target, sans-IO. Streams, requests and packets go in; messages and packets come out."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from p4pmip.softswitch.packet import Trace
from p4pmip.softswitch.target.arbitration import Arbitration, Notification, Stream
from p4pmip.softswitch.target.config import Loaded, load
from p4pmip.softswitch.target.packetio import packet_in, packet_out
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.target.update import INSERT, Undo

API_VERSION = "1.4.1"

DATAPLANE_ATOMIC = p4runtime.WriteRequest.DATAPLANE_ATOMIC
CONTINUE_ON_ERROR = p4runtime.WriteRequest.CONTINUE_ON_ERROR
Actions = p4runtime.SetForwardingPipelineConfigRequest


class Device:
    """One target.

    Attributes:
        send: Called with a stream and a message for it.
        output: Called with a port and a frame that leaves there.
        counters: What was dropped, by reason.
        held: No packet runs in another thread while this lasts.
        optimized: Called in another thread when better machine code is ready to be used.
    """

    def __init__(self, device_id: int, cpu_port: int, drop_port: int, executor: str = "interpreter") -> None:
        if cpu_port and cpu_port == drop_port:
            raise invalid("cpu_port", cpu_port, "is the drop port")
        self.device_id = device_id
        self.cpu_port = cpu_port
        self.drop_port = drop_port
        self.executor = executor
        self.arbitration = Arbitration(device_id)
        self.counters: Counter[str] = Counter()
        self.send: Callable[[Stream, p4runtime.StreamMessageResponse], None] = lambda _stream, _message: None
        self.output: Callable[[int, bytes], None] = lambda _port, _frame: None
        self.held: Callable[[], AbstractContextManager[None]] = nullcontext
        self.optimized: Callable[[], None] = lambda: None
        self.running: Running | None = None
        self._saved: Running | None = None
        """What COMMIT will run; until then it is what is written and read, while packets run in the other (§14)."""
        self._now = 0.0

    # -- pipeline configuration (§11) --

    def set_config(self, request: "p4runtime.SetForwardingPipelineConfigRequest", now: float) -> None:
        """SetForwardingPipelineConfig; what cannot run is refused and changes nothing."""
        self.arbitration.authorize(request.device_id, request.role, request)
        action = request.action
        if action == Actions.COMMIT:
            if request.HasField("config"):
                raise invalid("config", "set", "COMMIT takes the saved one", ["unset"])
            if self._saved is None:
                raise not_found("config", None, "nothing was saved", ["VERIFY_AND_SAVE first"])
            self.running, self._saved = self._saved, None
            return
        if action not in (
            Actions.VERIFY,
            Actions.VERIFY_AND_SAVE,
            Actions.VERIFY_AND_COMMIT,
            Actions.RECONCILE_AND_COMMIT,
        ):
            choices = [name for name, number in Actions.Action.items() if number]
            raise invalid("action", Actions.Action.Name(action), "must be given", choices)
        if not request.HasField("config"):
            raise invalid("config", None, "must be given")
        loaded = load(request.config, self.drop_port)
        if action == Actions.VERIFY_AND_SAVE:
            self._saved = self._prepared(loaded)
        elif action == Actions.VERIFY_AND_COMMIT:
            self.running, self._saved = self._prepared(loaded), None
        elif action == Actions.RECONCILE_AND_COMMIT:
            self._reconcile(loaded, now)
            self._saved = None

    def dropped(self) -> Counter[str]:
        """What was dropped since the start, by reason: around the pipeline, and in the one that runs."""
        return self.counters + (self.running.pipeline.drops if self.running else Counter())

    def load(self, config: "p4runtime.ForwardingPipelineConfig") -> None:
        """Start with this configuration, as a switch that is given its program on the command line."""
        self.running = self._prepared(load(config, self.drop_port))

    def _prepared(self, loaded: Loaded) -> Running:
        """A configuration that can run, with nothing written into it."""
        running = Running(loaded)
        if self.executor == "native":
            native = running.pipeline.use_native(self.cpu_port)
            if native is not None:
                native.optimize(self.optimized)
        running.pipeline.on_digest = self._learn
        return running

    def _reconcile(self, loaded: Loaded, now: float) -> None:
        """Carry all state over to the new program; what does not fit it refuses the whole (§11.1)."""
        running = self._prepared(loaded)
        with self.held():
            self._carry_over(running, now)
            self.running = running

    def _carry_over(self, running: Running, now: float) -> None:
        before = self.running
        for entity in before.everything(now) if before else ():
            which = entity.WhichOneof("entity")
            fixed = which in ("counter_entry", "meter_entry", "register_entry", "value_set_entry")
            entry = entity.table_entry if which == "table_entry" else None
            if entry is not None and (
                entry.is_const or (entry.is_default_action and self._same_default(running, entry))
            ):
                continue
            kind = p4runtime.Update.MODIFY if fixed or (entry and entry.is_default_action) else INSERT
            try:
                running.write(p4runtime.Update(type=kind, entity=entity), now)
            except Refusal as refusal:
                problem = f"cannot be carried over to the new program: {refusal.problem}"
                raise invalid(refusal.place, refusal.value, problem, refusal.choices) from refusal

    @staticmethod
    def _same_default(running: Running, entry: "p4runtime.TableEntry") -> bool:
        """Whether a default entry is what the new program itself says (perhaps for ever)."""
        table = running.schema.tables.get(entry.table_id)
        return table is not None and (table.const_default or table.profile is not None)

    def get_config(
        self, request: "p4runtime.GetForwardingPipelineConfigRequest"
    ) -> "p4runtime.GetForwardingPipelineConfigResponse":
        """GetForwardingPipelineConfig; unset while there is none."""
        self._mine(request.device_id)
        response = p4runtime.GetForwardingPipelineConfigResponse()
        if self.running is None:
            return response
        config, wanted = self.running.config, request.response_type
        kinds = p4runtime.GetForwardingPipelineConfigRequest
        response.config.cookie.CopyFrom(config.cookie)
        if wanted in (kinds.ALL, kinds.P4INFO_AND_COOKIE):
            response.config.p4info.CopyFrom(config.p4info)
        if wanted in (kinds.ALL, kinds.DEVICE_CONFIG_AND_COOKIE):
            response.config.p4_device_config = config.p4_device_config
        return response

    # -- write and read (§12, §13) --

    def write(self, request: "p4runtime.WriteRequest", now: float) -> list[Refusal | None]:
        """Apply the updates in their order; what was refused, by update.

        Raises:
            Refusal: the whole request is refused.
        """
        self.arbitration.authorize(request.device_id, request.role, request)
        running = self._ready()
        # All else is applied while packets run: each sees an entry as it was or as it is, and waits for nothing.
        with self.held() if request.atomicity == DATAPLANE_ATOMIC else nullcontext():
            return self._apply(running, request, now)

    @staticmethod
    def _apply(running: Running, request: "p4runtime.WriteRequest", now: float) -> list[Refusal | None]:
        results: list[Refusal | None] = []
        undo: list[Undo] = []
        failed = False
        all_or_nothing = request.atomicity != CONTINUE_ON_ERROR
        for update in request.updates:
            if failed:
                results.append(Refusal(Code.ABORTED, "update", "not tried", "another update of the batch failed"))
                continue
            try:
                undo.append(running.write(update, now))
                results.append(None)
            except Refusal as refusal:
                results.append(refusal)
                failed = all_or_nothing
        if failed:
            for step in reversed(undo):
                step()
            taken_back = Refusal(Code.ABORTED, "update", "taken back", "another update of the batch failed")
            results = [taken_back if one is None else one for one in results]
        return results

    def read(
        self, request: "p4runtime.ReadRequest", now: float
    ) -> tuple[list["p4runtime.Entity"], list[Refusal | None]]:
        """Everything that the request asks for, and what was refused, by entity of the request.

        Raises:
            Refusal: the whole request is refused.
        """
        self._mine(request.device_id)
        self.arbitration.known(request.role)
        running = self._ready()
        found: list[p4runtime.Entity] = []
        results: list[Refusal | None] = []
        for entity in request.entities:
            try:
                found += running.read(entity, now)
                results.append(None)
            except Refusal as refusal:
                results.append(refusal)
        return found, results

    def capabilities(self, request: "p4runtime.CapabilitiesRequest") -> "p4runtime.CapabilitiesResponse":
        """What this server speaks."""
        if request.device_id:
            self._mine(request.device_id)
        return p4runtime.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    def _mine(self, device_id: int) -> None:
        if device_id != self.device_id:
            raise not_found("device_id", device_id, "unknown device id", [self.device_id])

    def _ready(self) -> Running:
        chosen = self._saved or self.running
        if chosen is None:
            problem = "no pipeline was pushed yet"
            raise Refusal(
                Code.FAILED_PRECONDITION, "forwarding pipeline", None, problem, ["SetForwardingPipelineConfig"]
            )
        return chosen

    # -- streams (§16) --

    def stream_message(self, stream: Stream, request: "p4runtime.StreamMessageRequest", now: float) -> None:
        """One message of a controller.

        Raises:
            Refusal: the stream must be ended with its code.
        """
        match request.WhichOneof("update"):
            case "arbitration":
                self._notify(self.arbitration.update(stream, request.arbitration))
            case "packet":
                self._packet_out(stream, request.packet, now)
            case "digest_ack":
                self._acknowledge(stream, request.digest_ack)
            case which:
                refusal = invalid("stream message", which, "is not supported", ["arbitration", "packet", "digest_ack"])
                error = p4runtime.StreamError()
                error.other.other.CopyFrom(request.other)
                self._stream_error(stream, refusal, error)

    def stream_closed(self, stream: Stream) -> None:
        """A controller has gone."""
        self._notify(self.arbitration.closed(stream))

    def _notify(self, notifications: list[Notification]) -> None:
        for one in notifications:
            self.send(one.stream, one.message)

    def _acknowledge(self, stream: Stream, given: "p4runtime.DigestListAck") -> None:
        try:
            if not self.arbitration.is_primary(stream):
                raise Refusal(Code.PERMISSION_DENIED, "digest_ack", "this stream", "is not the primary's")
            if self.running is not None:
                self.running.digests.acknowledge(given)
        except Refusal as refusal:
            error = p4runtime.StreamError()
            error.digest_list_ack.digest_list_ack.CopyFrom(given)
            self._stream_error(stream, refusal, error)

    def _packet_out(self, stream: Stream, given: "p4runtime.PacketOut", now: float) -> None:
        error = p4runtime.StreamError()
        try:
            if not self.arbitration.is_primary(stream):
                raise Refusal(Code.PERMISSION_DENIED, "packet_out", "this stream", "is not the primary's")
            running = self.running or self._ready()
            if not self.cpu_port:
                raise Refusal(
                    Code.FAILED_PRECONDITION, "packet_out", None, "the switch has no CPU port", ["--cpu-port"]
                )
            frame = packet_out(running.schema.packet_out, given)
        except Refusal as refusal:
            error.packet_out.packet_out.CopyFrom(given)
            self._stream_error(stream, refusal, error)
            return
        self.receive(self.cpu_port, frame, now)

    def _stream_error(self, stream: Stream, refusal: Refusal, error: "p4runtime.StreamError") -> None:
        error.canonical_code, error.message, error.space = refusal.code, str(refusal), "p4pmip"
        self.send(stream, p4runtime.StreamMessageResponse(error=error))

    # -- packets --

    def receive(self, port: int, frame: bytes, now: float, trace: Trace | None = None) -> None:
        """A frame comes in on a port; what leaves goes to `output` or, from the CPU port, to the primary."""
        if self.running is None:
            self.counters["no_pipeline"] += 1
            return
        self._now = now
        self.running.pipeline.process(port, frame, now, self.deliver, trace)

    def interpret(self, port: int, frame: bytes, now: float) -> None:
        """A frame that machine code has already given up."""
        if self.running is not None:
            self._now = now
            self.running.pipeline.interpret(port, frame, now, self.deliver)

    def deliver(self, port: int, frame: bytes) -> None:
        """Where a frame goes that has left the pipeline."""
        if port == self.cpu_port and port:
            self._packet_in(frame)
        else:
            self.output(port, frame)

    def _packet_in(self, frame: bytes) -> None:
        running = self.running
        message = packet_in(running.schema.packet_in, frame) if running else None
        if message is None:
            self.counters["packet_in_too_short"] += 1
            return
        primaries = self.arbitration.primaries()
        if not primaries:
            self.counters["packet_in_no_primary"] += 1
        for stream in primaries:
            self.send(stream, p4runtime.StreamMessageResponse(packet=message))

    def _learn(self, list_id: int, values: tuple[int, ...]) -> None:
        if self.running is not None:
            self.running.digests.learn(list_id, values, self._now)

    # -- time --

    def tick(self, now: float, utc: float) -> None:
        """Send digests that are due and tell about entries that idle."""
        if self.running is None:
            return
        primaries = self.arbitration.primaries()
        if not primaries:
            return
        messages = [p4runtime.StreamMessageResponse(digest=one) for one in self.running.digests.due(now, utc)]
        idle = p4runtime.IdleTimeoutNotification(timestamp=int(utc * 1e9))
        idle.table_entry.extend(self.running.entries.idle(now))
        if idle.table_entry:
            messages.append(p4runtime.StreamMessageResponse(idle_timeout_notification=idle))
        for message in messages:
            for stream in primaries:
                self.send(stream, message)
