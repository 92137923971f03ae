# The judge's side. It runs the tests of the data set and alone can say "pass". The candidate's objects are data
# here, or a Remote: a number that calls and attributes are forwarded to. What the candidate sends is read by
# codec.py alone.
#
# The outcome is one JSON object on the verdict pipe:
#   {"outcome": "pass" | "assert" | "raise" | "load" | "gone" | "bad_reply" | "exit" | "memory" | "tests",
#    "stage", "classes", "message", "line", "errno", "where", "calls", "turn", "compiled"}
# "turn" is the number of the sample in this process, "compiled" says that the tests were compiled for it.
import builtins
import time

PREFETCH = 1024
MOST_SAMPLES = 64  # of one process
MOST_GROWTH_KIB = 64 << 10


class Ending(BaseException):
    """The sample is decided. Raised through the tests; recorded first, as a test may catch anything."""

    def __init__(self, outcome):
        BaseException.__init__(self)
        self.outcome = outcome


class Remote:
    """An object of the candidate. Equal to itself only; calls and attributes go to the candidate's process."""

    __slots__ = ("_candidate", "_target")

    def __init__(self, candidate, target):
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_target", target)

    def __call__(self, *args, **kwargs):
        return object.__getattribute__(self, "_candidate").call(self, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        return object.__getattribute__(self, "_candidate").get(self, name)

    def __setattr__(self, name, value):
        object.__getattribute__(self, "_candidate").set(self, name, value)

    def __repr__(self):
        return "<object of the program>"


class RemoteIterator(Remote):
    """An iterator of the candidate. Items are fetched in growing portions: 1, 2, 4, ..."""

    __slots__ = ("_items",)

    def __init__(self, candidate, target):
        Remote.__init__(self, candidate, target)
        object.__setattr__(self, "_items", candidate.items(target))

    def __iter__(self):
        return self

    def __next__(self):
        return next(object.__getattribute__(self, "_items"))


def exceptions_by_name():
    """The built-in exceptions that may be raised here in a candidate's name."""
    found = {}
    for name, kind in vars(builtins).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__name__ == name:
            found[name] = kind
    return found


EXCEPTIONS = exceptions_by_name()


def make_exception(names, message):
    kind = next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), Exception)
    try:
        return kind(message)
    except TypeError:  # UnicodeDecodeError and kin want five arguments
        return ValueError(message) if issubclass(kind, ValueError) else Exception(message)


class Candidate:
    """The other process, as requests and replies."""

    def __init__(self, channel):
        self._channel = channel
        self._remotes = {}
        self._functions = []
        self.n_calls = 0
        self.ending = None
        self._touched = False  # the program changed an object of the tests, or called one of their functions

    # What the tests can do with it.

    def name(self, name):
        return Remote(self, {"g": name})

    def call(self, remote, args, kwargs):
        self.n_calls += 1
        packed = [self._pack(value) for value in args]
        named = {name: self._pack(value) for name, value in kwargs.items()}
        reply = self._request(["call", self._target(remote), packed, named])
        changes = reply[5:6] if reply[0] == "raise" else reply[2:3]
        if changes and changes[0] is not None:
            self._apply(args, changes[0])
        if reply[0] == "raise":
            self._raise(reply)
        return self._unpack(reply[1])

    def get(self, remote, name):
        return self._value(["get", self._target(remote), name])

    def set(self, remote, name, value):
        self._value(["set", self._target(remote), name, self._pack(value)])

    def run(self, source):
        self._value(["run", source])

    def wait_for_load(self):
        self._value(["end"])

    def find(self, name):
        """The value of a global name of the program, for a name that tests and builtins do not have."""
        return self._value(["find", name])

    def items(self, target):
        count = 1
        while True:
            reply = self._request(["next", target, count], ("ok", "stop", "raise"))
            if reply[0] == "raise":
                self._raise(reply)
            for item in self._checked_list(reply[1]):
                yield self._unpack(item)
            if reply[0] == "stop":
                if len(reply) > 2:
                    self._raise(["raise"] + reply[2:])
                return
            count = min(count * 2, PREFETCH)

    def _target(self, remote):
        return object.__getattribute__(remote, "_target")

    # Requests.

    def _value(self, request):
        reply = self._request(request)
        if reply[0] == "raise":
            self._raise(reply)
        return self._unpack(reply[1])

    def _request(self, message, expected=("ok", "raise")):
        """Sends and waits for a reply of a valid form and an expected kind; serves calls back meanwhile."""
        if self.ending is not None:
            raise Ending(self.ending)
        try:
            self._channel.send(message)
            reply = self._receive()
            while reply[0] == "back":
                self._channel.send(self._serve_back(reply))
                reply = self._receive()
        except (EOFError, BrokenPipeError):
            self.end({"outcome": "gone"})
        except BadReply as error:
            self.end({"outcome": "bad_reply", "message": str(error)})
        except Unsendable as error:
            self.end({"outcome": "tests", "message": "an argument cannot be sent: %s" % error})
        except MemoryError:
            self.end({"outcome": "memory", "message": "the program's reply does not fit into the judge's memory"})
        if reply[0] == "load":
            self.end(dict(failure_fields(reply[2:]), outcome="load", stage=reply[1]))
        if reply[0] not in expected:
            self.end({"outcome": "bad_reply", "message": "a reply of another kind"})
        return reply

    def _receive(self):
        reply = self._channel.receive()
        try:
            if type(reply) is list and _FORMS[reply[0]](*reply[1:]):
                return reply
        except (KeyError, IndexError, TypeError):
            pass
        raise BadReply("a reply of no known form")

    def _serve_back(self, reply):
        self._touched = True
        _, number, args, kwargs = reply
        if not 0 <= number < len(self._functions):
            raise BadReply("a call of an unknown function")
        args = [self._unpack(value) for value in args]
        kwargs = {name: self._unpack(value) for name, value in kwargs.items()}
        try:
            return ["ok", self._pack(self._functions[number](*args, **kwargs))]
        except Exception as error:
            return ["raise", type(error).__name__, str(error)]

    def _raise(self, reply):
        names, message = reply[1], reply[2]
        fields = failure_fields(reply[1:5])
        if "SystemExit" in names or "KeyboardInterrupt" in names or "GeneratorExit" in names:
            self.end(dict(fields, outcome="exit"))
        if names[0] == "Unsendable":
            self.end({"outcome": "bad_reply", "message": message})
        error = make_exception(names, message)
        error.fathom_remote = fields
        raise error

    def retire(self):
        """After the sample: no object that is left of it can ask anything any more. True when the program had no
        part in what the tests' own objects hold."""
        self.ending = self.ending or {"outcome": "tests"}
        return not self._touched

    def end(self, outcome):
        if self.ending is None:
            self.ending = outcome
        raise Ending(self.ending)

    # Values.

    def _pack(self, value):
        return pack(value, self._export)

    def _export(self, value):
        if isinstance(value, Remote):
            return self._target(value)
        if callable(value):
            self._functions.append(value)
            return {"j": len(self._functions) - 1}
        if hasattr(type(value), "__next__"):
            return {"I": pack(list(value), self._export)}
        self.end(
            {"outcome": "tests", "message": "an argument of type %s cannot be sent" % type(value).__name__}
        )

    def _unpack(self, value):
        try:
            return unpack(value, self._resolve)
        except BadReply as error:
            self.end({"outcome": "bad_reply", "message": str(error)})

    def _resolve(self, tag, content):
        if type(content) is not int or tag not in ("h", "n", "j"):
            raise BadReply("tag %r" % str(tag)[:20])
        if tag == "j":
            return self._functions[content]
        if (tag, content) not in self._remotes:
            kind = Remote if tag == "h" else RemoteIterator
            self._remotes[tag, content] = kind(self, {tag: content})
        return self._remotes[tag, content]

    def _checked_list(self, value):
        if type(value) is not list:
            self.end({"outcome": "bad_reply", "message": "a list of items was expected"})
        return value

    def _apply(self, args, changes):
        self._touched = True
        for key, packed in changes.items():
            if not key.isdigit() or int(key) >= len(args):
                self.end({"outcome": "bad_reply", "message": "a change of no argument"})
            change_in_place(args[int(key)], self._unpack(packed))


def _is_failure(names, message, number=None, line=None, changes=None):
    return (
        type(names) is list
        and len(names) > 0
        and all(type(name) is str for name in names)
        and type(message) is str
        and (number is None or type(number) is int)
        and (line is None or type(line) is int)
        and (changes is None or type(changes) is dict)
    )


_FORMS = {
    "ok": lambda value, changes=None: changes is None or type(changes) is dict,
    "stop": lambda items, *failure: not failure or _is_failure(*failure),
    "load": lambda stage, *failure: stage in ("compile", "run") and _is_failure(*failure),
    "raise": _is_failure,
    "back": lambda number, args, kwargs: type(number) is int and type(args) is list and type(kwargs) is dict,
}


def failure_fields(failure):
    names, message, number, line = failure[:4]
    return {"classes": [name[:200] for name in names[:20]], "message": message[:2000], "errno": number, "line": line}


def change_in_place(old, new):
    """Makes the judge's object equal to the changed one and keeps the identity of what is inside where it can."""
    if type(old) is not type(new):
        return
    if type(old) is list:
        if len(old) == len(new):
            for index, value in enumerate(new):
                if type(value) in (list, dict, set) and type(old[index]) is type(value):
                    change_in_place(old[index], value)
                else:
                    old[index] = value
        else:
            old[:] = new
    elif type(old) is dict:
        kept = {key: old[key] for key in new if key in old}
        old.clear()
        for key, value in new.items():
            if key in kept and type(value) in (list, dict, set) and type(kept[key]) is type(value):
                change_in_place(kept[key], value)
                value = kept[key]
            old[key] = value
    elif type(old) is set:
        old.clear()
        old.update(new)
    elif type(old) is bytearray:
        old[:] = new
    elif type(old) is deque:
        old.clear()
        old.extend(new)


def judge(problem, candidate):
    """The outcome of one sample."""
    if problem.broken:
        return {"outcome": "tests", "message": problem.broken}
    outcome = {"outcome": "pass"}
    try:
        problem.run(candidate)
    except Ending:
        pass
    except MemoryError as error:
        fields = getattr(error, "fathom_remote", {"message": "in the tests"})
        outcome = dict(fields, outcome="memory")
    except BaseException as error:
        fields = getattr(error, "fathom_remote", None)
        if fields is not None:
            outcome = dict(fields, outcome="raise")
        elif isinstance(error, AssertionError):
            outcome = {"outcome": "assert", "message": clean_text(str(error), 500)}
        else:
            outcome = {"outcome": "raise", "classes": [type(error).__name__], "message": clean_text(str(error), 2000)}
        outcome["where"] = clean_text(problem.where(error), 500)
    # What ended the sample counts even when a test caught it.
    return candidate.ending or outcome


def judge_child(zygote, prepared, order, fds, problems):
    """Judges the sample of `order` and, as long as nothing can be left behind in this process, those that come
    over its own socket: a process that has run is several times cheaper than a new one."""
    null_fd = os.open("/dev/null", os.O_RDWR)
    place_descriptors([null_fd, null_fd, null_fd] + fds[1:])
    zygote.enter_confinement(order[:1] + (0,) + order[2:])  # the CPU limit is set for each sample
    gc.enable()
    orders = _socket.socket(fileno=6)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (problem, compiled), fds = prepared, (3, 4, 5)
    turn = 1
    while True:
        limit_cpu(order[1])
        may_stay = judge_sample(problem, fds, {"turn": turn, "compiled": compiled})
        usage = resource.getrusage(resource.RUSAGE_SELF)
        grown = usage.ru_maxrss > size + MOST_GROWTH_KIB or len(sys._current_frames()) > 1
        if not may_stay or grown or turn == MOST_SAMPLES:
            break
        send_report(orders, REPORT_SERVED, usage=usage)
        order, fds = receive_order(orders)
        if order is None:
            break
        problem, compiled = problems.get(order[5], fds[0])
        os.close(fds[0])
        fds = fds[1:]
        turn += 1
    os._exit(0)


def limit_cpu(seconds):
    """The back-stop of the supervisor's clock, from now on."""
    used = int(time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = used + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def judge_sample(problem, fds, about):
    """Writes the verdict and closes `fds`; True when the next sample may be judged in this process."""
    replies_fd, calls_fd, verdict_fd = fds
    candidate = Candidate(Channel(replies_fd, calls_fd))
    outcome = judge(problem, candidate)
    outcome.update(about, calls=candidate.n_calls)
    data = json.dumps(outcome).encode()
    while data:
        data = data[os.write(verdict_fd, data) :]
    for fd in fds:
        os.close(fd)
    regular = outcome["outcome"] in ("pass", "assert", "raise", "load", "exit")
    return regular and problem.leaves_nothing and candidate.retire()


def main(config):
    problems = Problems(config["preload"])

    def prepare(order, fds):
        return problems.get(order[5], fds[0])

    def child(zygote, prepared, order, fds):
        judge_child(zygote, prepared, order, fds, problems)

    Zygote(config, child, prepare).serve()
