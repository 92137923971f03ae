# The preflight's attempts to break out, made by a child that is confined like a candidate. Each attempt is
# [layer, what was tried, what came of it or null when it was refused]; one success and the run does not start.
# The last attempt is to fork: with a limit of one process it must kill this process (SIGSYS).
import errno


def attempt(layer, what, function, refusals=(OSError, MemoryError)):
    """The outcome of something that must be refused."""
    try:
        result = function()
    except refusals:
        return [layer, what, None]
    return [layer, what, "it was not refused (%r)" % (result,)]


def witness(calls, confined):
    """Run just before the last filter, which forbids to ask: [layer, what, finding or null]."""
    found = []
    mode = libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0)
    found.append(["seccomp", "PR_GET_SECCOMP", None if mode == SECCOMP_MODE_FILTER else "mode %d" % mode])
    value = libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
    found.append(["no_new_privs", "PR_GET_NO_NEW_PRIVS", None if value == 1 else "value %d" % value])
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    sets = ctypes.create_string_buffer(24)
    failed = libc.syscall(calls["capget"], header, sets) != 0
    text = "capget failed" if failed else sets.raw.hex()
    found.append(["capabilities", "capget", None if text == "0" * 48 else text])
    held = [number for number in range(41) if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1]
    found.append(["capabilities", "bounding set", "holds %s" % held if held and confined else None])
    return found


def probe(config, fd, seen):
    facts = config["probe"]
    found = list(seen)
    if config["child_filters"]:
        found += probe_calls()
    if config["private_root"]:
        found += probe_root(facts)
    if config["landlock"]:
        for path in facts["sealed"]:
            found.append(attempt("landlock", "opening %s" % path, lambda: os.open(path, os.O_RDONLY)))
    found += probe_limits(config)
    found += probe_surroundings(config)
    text = json.dumps(found).encode()
    os.write(fd, text)
    if config["child_filters"]:
        os.fork()
        os.write(fd, b"\nforked")
    os._exit(0)


def probe_calls():
    def connect():
        return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)

    def raw(name, *args):
        if getattr(libc, name)(*args) == -1:
            raise OSError(ctypes.get_errno(), name)

    return [
        attempt("seccomp", "socket", connect),
        attempt("seccomp", "execve", lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"])),
        attempt("seccomp", "kill of process 1", lambda: os.kill(1, 0)),
        attempt("seccomp", "kill of every process", lambda: os.kill(-1, 0)),
        attempt("seccomp", "ptrace", lambda: raw("ptrace", 0, 0, None, None)),
        attempt("seccomp", "unshare", lambda: raw("unshare", 0x10000000)),
        attempt("seccomp", "mount", lambda: raw("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
        attempt("seccomp", "prctl(PR_SET_DUMPABLE)", lambda: raw("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)),
    ]


def probe_root(facts):
    found = [attempt("private root", "reading the host file %s" % facts["canary"], lambda: open(facts["canary"]).read())]
    found.append(attempt("private root", "listing /proc", lambda: os.listdir("/proc")))
    found.append(attempt("private root", "creating /probe", lambda: open("/probe", "w")))
    found.append(attempt("private root", "writing %s" % os.__file__, lambda: open(os.__file__, "r+")))
    return found


def probe_limits(config):
    limits = config["limits"]

    def raise_limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits["descriptors"] + 1, limits["descriptors"] + 1))
        return "raised"

    def open_too_many():
        for _ in range(limits["descriptors"] + 1):
            kept.append(os.open("/dev/null", os.O_RDONLY))
        return "%d open" % len(kept)

    def write_too_far():
        fd = os.open("probe", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, config["tmp_bytes"] + 1)
        finally:
            os.close(fd)
            os.unlink("probe")
        return "a file of %d bytes" % (config["tmp_bytes"] + 1)

    kept = []
    found = [
        attempt("resource limits", "raising a limit", raise_limit, (OSError, ValueError)),
        attempt("resource limits", "allocating past the limit", lambda: len(bytearray(limits["memory_bytes"]))),
        attempt("resource limits", "opening %d files" % (limits["descriptors"] + 1), open_too_many),
        attempt("resource limits", "a file past the limit", write_too_far),
    ]
    for fd in kept:
        os.close(fd)
    return found


def probe_surroundings(config):
    """What a candidate finds around it: no descriptor, variable or file that is not meant to be there."""
    found = []
    fds = [fd for fd in range(256) if is_open(fd)]
    found.append(["descriptors", "open ones", None if fds == [0, 1, 2, 3, 4, 5] else "%s are open" % fds])
    extra = sorted(set(os.environ) - set(config["environment"]) - {"LC_CTYPE", "PWD"})
    found.append(["environment", "variables", "%s are set" % extra if extra else None])
    left = os.listdir(".")
    found.append(["fresh /tmp", "listing it", "it holds %s" % left[:5] if left else None])
    uid = os.getuid()
    found.append(["user", "getuid", "still root" if uid == 0 else None])
    if config["sized_tmp"]:
        space = os.statvfs(".")
        size, flags = space.f_blocks * space.f_frsize, space.f_flag
        wanted = os.ST_NOSUID | os.ST_NODEV | (os.ST_NOEXEC if config["mountable"] else 0)
        wrong = size > config["tmp_bytes"] or flags & wanted != wanted
        found.append(["fresh /tmp", "statvfs", "%d bytes, flags %#x" % (size, flags) if wrong else None])
    return found


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno != errno.EBADF
    return True
