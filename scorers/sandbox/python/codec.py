# Values as plain data between the runner and the judge. Both sides run this file.
#
# A message is a 4-byte big-endian length and one JSON text. JSON carries None, bool, str, float and ints of up to
# 63 bits as they are and a list as a list; everything else is an object with exactly one key, its tag:
#
#   i hexadecimal text of an int      c [real, imaginary]        b hexadecimal text of bytes
#   y the same of a bytearray         t tuple  s set  f frozenset  q [items, maxlen] of a deque
#   d [[key, value], ...] of a dict   r [start, stop, step]      k K v V views: keys, items, values
#   I items of an iterator
#   h number of a runner's object     n number of a runner's iterator      g a name of the runner's program
#   j number of a judge's callable
#
# The reader rebuilds exact built-in types, so that no method of a subclass travels. Never pickle, marshal, eval
# or repr. The reader trusts nothing: a reply outside these rules is a BadReply.
import json
import os
from collections import deque

MAX_MESSAGE_BYTES = 8 << 20
MAX_ITEMS = 1000000
MAX_DEPTH = 60
PLAIN_INT = 1 << 62
VERSION = 1

encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_NONE = type(None)
_SIMPLE = frozenset((str, float, bool, _NONE))  # with int the exact types that a parsed JSON text has as leaves
_LEAVES = frozenset((str, float, bool, int, _NONE))
_KEYS = type({}.keys())
_ITEMS = type({}.items())
_VALUES = type({}.values())


class BadReply(Exception):
    """The other side sent something that the format does not allow."""


class Unsendable(Exception):
    """The value is too deep or too large to be sent."""


class Channel:
    """Length-prefixed messages over two pipes."""

    def __init__(self, read_fd, write_fd):
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._buffer = b""

    def send(self, message):
        text = encode(message).encode()
        if len(text) > MAX_MESSAGE_BYTES:
            raise Unsendable("a value of more than %d bytes" % MAX_MESSAGE_BYTES)
        data = len(text).to_bytes(4, "big") + text
        sent = os.write(self._write_fd, data)
        while sent < len(data):
            sent += os.write(self._write_fd, data[sent : sent + 65536])

    def receive(self):
        """The next message; EOFError when the other side is gone, BadReply for bytes that are no message."""
        data = self._buffer
        while len(data) < 4:
            data += self._more()
        size = int.from_bytes(data[:4], "big")
        if size > MAX_MESSAGE_BYTES:
            raise BadReply("a message of %d bytes" % size)
        if len(data) < 4 + size:
            parts, have = [data], len(data)
            while have < 4 + size:
                part = self._more()
                parts.append(part)
                have += len(part)
            data = b"".join(parts)
        self._buffer = data[4 + size :]
        text = data[4 : 4 + size]
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadReply("no JSON text: %s" % type(error).__name__) from None
        if text.count(b",") > MAX_ITEMS and _count_items(message) > MAX_ITEMS:
            raise BadReply("more than %d items" % MAX_ITEMS)
        return message

    def _more(self):
        data = os.read(self._read_fd, 65536)
        if not data:
            raise EOFError
        return data


def _count_items(message):
    count, pending = 0, [message]
    while pending:
        value = pending.pop()
        inner = value.values() if type(value) is dict else value if type(value) is list else ()
        count += len(inner)
        pending.extend(item for item in inner if type(item) not in _LEAVES)
    return count


def pack(value, export, depth=0):
    """`value` in the form above. `export(object)` returns the tagged form of what is no data."""
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind is int:
        return value if -PLAIN_INT < value < PLAIN_INT else {"i": "%x" % value}
    if depth >= MAX_DEPTH:
        raise Unsendable("a value nested deeper than %d" % MAX_DEPTH)
    packer = _PACKERS.get(kind)
    if packer is not None:
        return packer(value, export, depth + 1)
    for base, packer in _BASES:
        if isinstance(value, base):
            return packer(value, export, depth + 1)
    return export(value)


def _pack_all(items, export, depth):
    return [item if type(item) in _SIMPLE else pack(item, export, depth) for item in items]


def _pack_pairs(items, export, depth):
    return [[pack(key, export, depth), pack(value, export, depth)] for key, value in items]


# Methods are taken from the base type: a subclass arrives as what it holds, whatever it overrides.
_PACKERS = {
    list: lambda v, e, d: _pack_all(list.__iter__(v), e, d),
    tuple: lambda v, e, d: {"t": _pack_all(tuple.__iter__(v), e, d)},
    dict: lambda v, e, d: {"d": _pack_pairs(dict.items(v), e, d)},
    set: lambda v, e, d: {"s": _pack_all(set.__iter__(v), e, d)},
    frozenset: lambda v, e, d: {"f": _pack_all(frozenset.__iter__(v), e, d)},
    deque: lambda v, e, d: {"q": [_pack_all(deque.__iter__(v), e, d), v.maxlen]},
    bytes: lambda v, e, d: {"b": bytes.hex(v)},
    bytearray: lambda v, e, d: {"y": bytearray.hex(v)},
    complex: lambda v, e, d: {"c": [v.real, v.imag]},
    range: lambda v, e, d: {"r": [pack(v.start, e), pack(v.stop, e), pack(v.step, e)]},
    _KEYS: lambda v, e, d: {"k": _pack_all(v, e, d)},
    _ITEMS: lambda v, e, d: {"K": _pack_pairs(v, e, d)},
    _VALUES: lambda v, e, d: {"v": _pack_all(v, e, d)},
}
_BASES = (
    (int, lambda v, e, d: pack(int.__add__(v, 0), e, d)),
    (float, lambda v, e, d: float.__mul__(v, 1.0)),
    (str, lambda v, e, d: str.__str__(v)),
    (tuple, _PACKERS[tuple]),
    (list, _PACKERS[list]),
    (dict, _PACKERS[dict]),
    (set, _PACKERS[set]),
    (frozenset, _PACKERS[frozenset]),
    (deque, _PACKERS[deque]),
    (bytes, _PACKERS[bytes]),
    (bytearray, _PACKERS[bytearray]),
    (complex, _PACKERS[complex]),
)


def unpack(value, resolve, depth=0):
    """The value of a packed form. `resolve(tag, content)` gives the object of a tag h, n, g or j."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if depth >= MAX_DEPTH:
        raise BadReply("a value nested deeper than %d" % MAX_DEPTH)
    if kind is list:
        return _unpack_all(value, resolve, depth + 1)
    if len(value) != 1:
        raise BadReply("an object with %d tags" % len(value))
    ((tag, content),) = value.items()
    unpacker = _UNPACKERS.get(tag)
    try:
        if unpacker is None:
            return resolve(tag, content)
        return unpacker(content, resolve, depth + 1)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadReply("tag %r: %s" % (str(tag)[:20], type(error).__name__)) from None


def _unpack_all(items, resolve, depth):
    if type(items) is not list:
        raise BadReply("a list was expected")
    return [item if type(item) in _LEAVES else unpack(item, resolve, depth) for item in items]


def _unpack_pairs(pairs, resolve, depth):
    return {unpack(key, resolve, depth): unpack(value, resolve, depth) for key, value in pairs}


def _unpack_deque(content, resolve, depth):
    items, maxlen = content
    return deque(_unpack_all(items, resolve, depth), maxlen)


_UNPACKERS = {
    "i": lambda c, r, d: int(c, 16),
    "c": lambda c, r, d: complex(*c),
    "b": lambda c, r, d: bytes.fromhex(c),
    "y": lambda c, r, d: bytearray.fromhex(c),
    "t": lambda c, r, d: tuple(_unpack_all(c, r, d)),
    "s": lambda c, r, d: set(_unpack_all(c, r, d)),
    "f": lambda c, r, d: frozenset(_unpack_all(c, r, d)),
    "q": _unpack_deque,
    "d": _unpack_pairs,
    "r": lambda c, r, d: range(*_unpack_all(c, r, d)),
    "I": lambda c, r, d: iter(_unpack_all(c, r, d)),
    "k": lambda c, r, d: dict.fromkeys(_unpack_all(c, r, d)).keys(),
    "K": lambda c, r, d: _unpack_pairs(c, r, d).items(),
    "v": lambda c, r, d: dict(enumerate(_unpack_all(c, r, d))).values(),
}


def clean_text(text, limit):
    """Text of any origin, shortened and free of surrogates, for a message."""
    return text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")
