"""The protocol between this package and ``fab``: frames, requests both ways, and who reads (docs/protocol.md).

No thread is started here. Whoever waits for an answer reads for all who wait; what an answer needs on its way (output, a
question) is done by the thread that asked.
"""

import array
import json
import os
import socket
import struct
import threading
from collections import deque

VERSION = 1
HELLO, CALL, REPLY, ERROR, DATA, CANCEL, EVENT, BYE = range(8)

#: The largest frame, in bytes.
LIMIT = 1 << 30

_HEAD = struct.Struct(">IBI")


class Closed(Exception):
    """The other side has gone."""


class EngineError(Exception):
    """What the engine says went wrong. ``kind`` is what it is, ``fields`` what is known of it."""

    def __init__(self, fields):
        self.fields = fields
        self.kind = fields.get("kind", "other")
        super(EngineError, self).__init__(fields.get("message", "the engine gave no reason"))


class _Slot(object):
    """One who waits, and what has come for it."""

    __slots__ = ("frames", "on_data", "on_call")

    def __init__(self, on_data=None, on_call=None):
        self.frames = deque()
        self.on_data = on_data
        self.on_call = on_call


class Frame(object):
    __slots__ = ("kind", "header", "raw", "fds")

    def __init__(self, kind, header, raw, fds):
        self.kind, self.header, self.raw, self.fds = kind, header, raw, fds


class Channel(object):
    """One end of a socket pair."""

    def __init__(self, sock, on_event=None):
        self.sock = sock
        self.pid = os.getpid()
        self.on_event = on_event
        self.calls = None
        self._sending = threading.Lock()
        self._turn = threading.Condition(threading.Lock())
        self._reading = False
        self._buffer = bytearray()
        self._fds = deque()
        self._slots = {}
        self._last = 0
        self._why = None
        self.peer = None

    # -- frames ---------------------------------------------------------------------------------------------------

    def send(self, kind, header, raw=b"", fds=()):
        head = json.dumps(header, separators=(",", ":")).encode("utf-8", "surrogateescape")
        size = 5 + len(head) + len(raw)
        if size > LIMIT:
            raise ValueError("%d bytes at once are more than the protocol takes (%d)" % (size, LIMIT))
        data = _HEAD.pack(size, kind, len(head)) + head
        with self._sending:
            try:
                if fds:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                    sent = self.sock.sendmsg([data], rights)
                    data = data[sent:]
                if len(raw) < 65536:
                    self.sock.sendall(data + raw)
                else:
                    self.sock.sendall(data)
                    self.sock.sendall(raw)
            except OSError as error:
                # The next call needs another engine.
                if self._why is None:
                    self._why = str(error)
                raise Closed(str(error))

    def _more(self, needed):
        """Reads until so many bytes are there. What came stays, also where this is interrupted."""
        buffer = self._buffer
        space = socket.CMSG_SPACE(16 * array.array("i").itemsize)
        while len(buffer) < needed:
            missing = needed - len(buffer)
            try:
                data, rights, _, _ = self.sock.recvmsg(max(missing, 1 << 16) if missing < 1 << 20 else missing, space)
            except ConnectionResetError:
                data, rights = b"", []
            for level, kind, content in rights:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds = array.array("i")
                    fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                    for fd in fds:
                        os.set_inheritable(fd, False)
                    self._fds.extend(fds)
            if not data:
                raise Closed("the engine has ended")
            buffer += data

    def _read(self):
        """The next frame."""
        self._more(9)
        size, kind, head = _HEAD.unpack_from(self._buffer)
        if size > LIMIT or head > size - 5:
            raise Closed("the engine sent what is no frame of the protocol")
        self._more(4 + size)
        header = json.loads(bytes(self._buffer[9 : 9 + head]).decode("utf-8"))
        raw = bytes(self._buffer[9 + head : 4 + size])
        del self._buffer[: 4 + size]
        fds = [self._fds.popleft() for _ in range(header.get("fds", 0))]
        return Frame(kind, header, raw, fds)

    # -- requests -------------------------------------------------------------------------------------------------

    def call(self, verb, header=None, raw=b"", on_data=None, on_call=None, fds=()):
        """Asks the other side, and waits: the answer's header and bytes."""
        slot = _Slot(on_data, on_call)
        with self._turn:
            if self._why is not None:
                raise Closed(self._why)
            self._last += 1
            number = self._last
            self._slots[number] = slot
        header = dict(header or {}, id=number, verb=verb)
        if fds:
            header["fds"] = len(fds)
        try:
            self.send(CALL, header, raw, fds)
            return self._wait(number, slot)
        except BaseException as error:
            if not isinstance(error, (EngineError, Closed)):
                # A Ctrl-C, or a mistake in a watcher or a stream: what runs is ended.
                try:
                    self.send(CANCEL, {"id": number})
                except Closed:
                    pass
            raise
        finally:
            with self._turn:
                self._slots.pop(number, None)

    def data(self, number, raw, **header):
        """More bytes for a call of ours."""
        self.send(DATA, dict(header, id=number), raw)

    def serve(self, on_call):
        """Answers the other side's requests until it has gone."""
        slot = _Slot(on_call=on_call)
        self.calls = slot
        try:
            while True:
                try:
                    self._wait(None, slot)
                except KeyboardInterrupt:
                    # Nothing of ours runs: the engine knows what to do.
                    continue
        except Closed:
            pass
        finally:
            self.calls = None

    def _wait(self, number, slot):
        while True:
            with self._turn:
                while not slot.frames and self._reading and self._why is None:
                    self._turn.wait()
                if slot.frames:
                    frame = slot.frames.popleft()
                elif self._why is not None:
                    raise Closed(self._why)
                else:
                    frame = None
                    self._reading = True
            if frame is None:
                frame = self._lead(slot)
                if frame is None:
                    continue
            kind = frame.kind
            if kind == REPLY:
                return frame
            if kind == ERROR:
                raise EngineError(frame.header)
            if kind == DATA:
                if slot.on_data is not None:
                    slot.on_data(number, frame)
            elif kind == CALL:
                self._answer(slot.on_call, frame)
            elif kind == CANCEL:
                raise KeyboardInterrupt()

    def _lead(self, mine):
        """Reads one frame; gives it if it is for whoever called this, else to whom it is for."""
        frame, why = None, None
        try:
            frame = self._read()
        except Closed as error:
            why = str(error)
        except (ValueError, OSError) as error:
            why = "the connection with the engine broke: %s" % error
        finally:
            with self._turn:
                self._reading = False
                if why is not None:
                    self._why = why
                slot = self._meant(frame) if frame is not None else None
                if slot is not None and slot is not mine:
                    slot.frames.append(frame)
                self._turn.notify_all()
        if frame is not None and frame.kind == EVENT and self.on_event is not None:
            self.on_event(frame.header)
        return frame if slot is mine and frame is not None else None

    def _meant(self, frame):
        if frame.kind in (EVENT, BYE, HELLO):
            return None
        if frame.kind == CALL:
            slot = self._slots.get(frame.header.get("for"), self.calls)
            if slot is None:
                # A question of whoever waits: the last one that can be asked.
                asked = [number for number, slot in self._slots.items() if slot.on_call is not None]
                slot = self._slots[max(asked)] if asked else None
            return slot
        return self._slots.get(frame.header.get("id"))

    def _answer(self, on_call, frame):
        number = frame.header.get("id")
        if on_call is None:
            self.send(ERROR, {"id": number, "kind": "usage", "message": "nothing here answers %r" % frame.header.get("verb")})
            return
        try:
            answer = on_call(frame)
        except EngineError as error:
            self.send(ERROR, dict(error.fields, id=number))
            return
        header, raw = answer if isinstance(answer, tuple) else (answer, b"")
        self.send(REPLY, dict(header or {}, id=number), raw)

    def handshake(self, build):
        """Says who we are, and checks who the other side is."""
        import sys

        self.send(
            HELLO,
            {
                "protocol": VERSION,
                "build": build,
                "side": "python",
                "version": "%d.%d.%d" % sys.version_info[:3],
                "executable": sys.executable,
                "pid": self.pid,
            },
        )
        frame = self._read()
        if frame.kind != HELLO:
            raise Closed("the other side is not the engine of Fabric: it does not say hello")
        self.peer = frame.header
        return frame.header

    def close(self):
        with self._turn:
            if self._why is None:
                self._why = "the connection with the engine is closed"
            self._turn.notify_all()
        try:
            self.sock.close()
        except OSError:
            pass
