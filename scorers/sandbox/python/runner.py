# The candidate's side. The child reads the program after the last filter is in place, runs it and then serves the
# judge's requests. Everything here shares a process with hostile code: nothing it says is believed beyond being data.
#
# Requests (lists):  ["call", target, [args], {kwargs}]   ["get", target, name]   ["set", target, name, value]
#                    ["next", iterator, n]                ["find", name]          ["run", source]         ["end"]
# Replies:           ["ok", value, changed arguments or null]     ["raise", [class names], message, errno, line]
#                    ["load", stage, [class names], message, errno, line]     ["stop", value] of a used-up iterator
#                    ["back", number, [args], {kwargs}]: call the judge's function; the judge answers ok or raise
import builtins

PROGRAM_NAME = "<program>"
MUTABLE = (list, dict, set, bytearray, deque)


class Quitter:
    """exit and quit, which the reference's interpreter has and one without `site` lacks."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return "Use %s() to exit" % self._name

    def __call__(self, code=None):
        raise SystemExit(code)


def describe(error):
    """[class names of the MRO], message, errno or null, line of the program or null."""
    try:
        names = [kind.__name__ for kind in type(error).__mro__][:20]
        message = clean_text(str(error), 2000)
        number = error.errno if isinstance(error, OSError) and type(error.errno) is int else None
    except BaseException:
        names, message, number = ["Exception"], "an exception whose text raises another", None
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == PROGRAM_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return [names, message, number, line]


class Objects:
    """Numbers for objects that are no data, and the way back."""

    def __init__(self, channel):
        self._channel = channel
        self._objects = []
        self._numbers = {}
        self._callbacks = {}

    def export(self, value):
        if hasattr(type(value), "__next__"):
            return {"n": self._number(value)}
        return {"h": self._number(value)}

    def _number(self, value):
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return number

    def resolve(self, tag, content):
        if tag == "h" or tag == "n":
            return self._objects[content]
        if tag == "g":
            return self.names[content]
        if tag == "j":
            if content not in self._callbacks:
                self._callbacks[content] = self._callback(content)
            return self._callbacks[content]
        raise BadReply("tag %r" % tag)

    def _callback(self, number):
        def judge_function(*args, **kwargs):
            packed = {name: pack(value, self.export) for name, value in kwargs.items()}
            self._channel.send(["back", number, [pack(value, self.export) for value in args], packed])
            answer = self._channel.receive()
            if answer[0] == "ok":
                return unpack(answer[1], self.resolve)
            raise getattr(builtins, answer[1], Exception)(answer[2])

        return judge_function


class Server:
    """Answers the judge until it hangs up."""

    def __init__(self, channel, names):
        self._channel = channel
        self._names = names
        self._objects = Objects(channel)
        self._objects.names = Names(names)
        self._handlers = {
            "call": self._call,
            "get": self._get,
            "set": self._set,
            "next": self._next,
            "find": self._find,
            "run": self._run,
            "end": lambda: None,
        }

    def serve(self):
        while self.answer():
            pass

    def answer(self):
        """One request; False when the judge has hung up."""
        try:
            request = self._channel.receive()
        except EOFError:
            return False
        try:
            reply = self._handlers[request[0]](*request[1:])
        except BaseException as error:
            reply = ["raise"] + describe(error)
        flush_output()
        try:
            self._channel.send(reply or ["ok", None, None])
        except Unsendable as error:
            self._channel.send(["raise", ["Unsendable"], str(error), None, None])
        return True

    def _pack(self, value):
        return pack(value, self._objects.export)

    def _unpack(self, value):
        return unpack(value, self._objects.resolve)

    def _call(self, target, packed_args, packed_kwargs):
        function = self._unpack(target)
        args = [self._unpack(value) for value in packed_args]
        kwargs = {name: self._unpack(value) for name, value in packed_kwargs.items()}
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            return ["raise"] + describe(error) + [self._changes(args, packed_args)]
        return ["ok", self._pack(result), self._changes(args, packed_args)]

    def _changes(self, args, packed_args):
        """{index: new value} of the arguments that the call changed in place, or null."""
        changes = {}
        for index, value in enumerate(args):
            if type(value) in MUTABLE:
                packed = self._pack(value)
                if packed != packed_args[index] or encode(packed) != encode(packed_args[index]):  # 1 == True
                    changes[str(index)] = packed
        return changes or None

    def _get(self, target, name):
        return ["ok", self._pack(getattr(self._unpack(target), name)), None]

    def _set(self, target, name, value):
        setattr(self._unpack(target), name, self._unpack(value))

    def _next(self, target, count):
        """Up to `count` items; ["stop"] with the last ones when there are no more, or "raise" with them."""
        iterator, items = self._unpack(target), []
        try:
            for _ in range(count):
                items.append(self._pack(next(iterator)))
        except StopIteration:
            return ["stop", items]
        except BaseException as error:
            if not items:
                raise
            return ["stop", items] + describe(error)
        return ["ok", items, None]

    def _find(self, name):
        return ["ok", self._pack(self._objects.names[name]), None]

    def _run(self, source):
        exec(compile(source, "<setup>", "exec", dont_inherit=True), self._names)


class Names:
    """A name of the program, or the NameError that the reference would raise."""

    def __init__(self, names):
        self._names = names

    def __getitem__(self, name):
        if name in self._names:
            return self._names[name]
        raise NameError("name '%s' is not defined" % name)


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass  # closed or replaced by the program


def load(program_fd, names):
    """Compiles and runs the program; the reply that reports its failure, or None."""
    stage = "compile"
    try:
        with open(program_fd, "rb") as file:
            text = file.read().decode("utf-8")
        code = compile(text, PROGRAM_NAME, "exec", dont_inherit=True)
        del text
        stage = "run"
        exec(code, names)
    except BaseException as error:
        return ["load", stage] + describe(error)
    return None


def run_child(zygote, _, order, fds):
    program_fd, calls_fd, replies_fd, out_fd, err_fd = fds
    null_fd = os.open("/dev/null", os.O_RDWR)
    place_descriptors([null_fd, out_fd, err_fd, calls_fd, replies_fd, program_fd])
    zygote.enter_confinement(order)
    if order[0] == ORDER_PROBE:
        probe(zygote.config, 4, zygote.confinement.seen)
    gc.enable()
    builtins.exit, builtins.quit = Quitter("exit"), Quitter("quit")
    channel, names = Channel(3, 4), {}
    failure = load(5, names)
    if failure is not None:
        flush_output()
        channel.receive()
        channel.send(failure)
        os._exit(0)
    Server(channel, names).serve()
    os._exit(0)


WARM_UP = """
import math
from typing import List

def f(items: List[float], limit: float = 0.5) -> list:
    \"\"\" text \"\"\"
    found = {}
    for i, item in enumerate(items):
        if item % 2 == 1 and i != limit or not item:
            found[i] = str(item) + "x"
    return sorted([len(v) for v in found.values()], key=lambda n: -n)
"""


def warm_up():
    """Does once, before the first fork, what every child does, so that children find what the interpreter makes at
    the first use (specialised code, caches) and share it."""
    requests, replies = os.pipe(), os.pipe()
    judge, names = Channel(replies[0], requests[1]), {}
    exec(compile(WARM_UP, PROGRAM_NAME, "exec", dont_inherit=True), names)
    server = Server(Channel(requests[0], replies[1]), names)
    for _ in range(20):
        judge.send(["call", {"g": "f"}, [[1.5, 2, 3, True], 7], {}])
        server.answer()
        judge.receive()
    for fd in requests + replies:
        os.close(fd)


def main(config):
    warm_up()
    Zygote(config, run_child).serve()
