# The pre-started interpreter of one side of a cell. It waits for orders on its control socket and forks once per
# sample; it never reads what a model wrote. Orders and reports are fixed-size structures, drawn in zygote.h.
#
# The process that starts this file is confined already (namespaces, private root, capabilities down to
# CAP_SYS_ADMIN over its own user namespace, no_new_privs, first seccomp filter). What only a child can have is
# added by Confinement.enter, in the child, before it reads the first byte of its program: resource limits,
# Landlock, empty capability sets, second filter.
import ctypes
import gc
import os
import resource
import select
import signal
import stat
import struct
import sys

import _socket

ORDER = struct.Struct("=IIqqq32s")  # kind, cpu_s, memory_bytes, tmp_bytes, processes, key
REPORT = struct.Struct("=Iiqqqq256s")  # kind, status, user_us, system_us, peak_rss_kib, flags, text
ORDER_RUN, ORDER_PROBE = 1, 2
REPORT_READY, REPORT_STARTED, REPORT_EXITED, REPORT_FAILED, REPORT_SERVED = 1, 2, 3, 4, 5
FLAG_TMP_BYTES, FLAG_TMP_FILES, FLAG_LEFTOVERS = 1, 2, 4
RULESET_FD, CONTROL_FD, FIRST_FREE_FD = 8, 9, 10  # a child keeps the first two until it is confined

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MNT_DETACH = 2, 4, 8, 1024, 2
PR_SET_DUMPABLE, PR_GET_SECCOMP, PR_SET_SECCOMP, PR_CAP_AMBIENT = 4, 21, 22, 47
PR_SET_CHILD_SUBREAPER, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAPBSET_READ = 36, 39, 4, 23
SECCOMP_MODE_FILTER = 2

libc = ctypes.CDLL(None, use_errno=True)


class LayerError(Exception):
    """A layer of the confinement could not be put in place."""

    def __init__(self, layer, call):
        number = ctypes.get_errno()
        Exception.__init__(self, "%s: %s failed: %s" % (layer, call, os.strerror(number)))
        self.layer, self.call, self.errno = layer, call, number


class SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class Landlock:
    """Read the private root, use /tmp, nothing else; the rule for /tmp is made anew with every fresh /tmp."""

    def __init__(self, config, calls):
        self._config, self._calls = config, calls
        self.ready = False
        self._parents = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in config["readable"]]

    def renew(self, tmp):
        fields = [self._config["handled_files"]]
        if self._config["abi"] >= 4:
            fields.append(self._config["handled_net"])
        if self._config["abi"] >= 6:
            fields.append(self._config["scoped"])
        attributes = struct.pack("=%dQ" % len(fields), *fields)
        ruleset = libc.syscall(self._calls["landlock_create_ruleset"], attributes, len(attributes), 0)
        if ruleset < 0:
            raise LayerError("landlock", "landlock_create_ruleset")
        os.dup2(ruleset, RULESET_FD)
        os.close(ruleset)
        for parent in self._parents:
            self._allow(parent, self._config["read"])
        for path, rights in self._config["files"]:
            self._allow_path(path, rights)
        self._allow_path(tmp, self._config["tmp"])
        self.ready = True

    def _allow_path(self, path, rights):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._allow(parent, rights)
        os.close(parent)

    def _allow(self, parent, rights):
        rule = struct.pack("=Qi", rights, parent)
        if libc.syscall(self._calls["landlock_add_rule"], RULESET_FD, 1, rule, 0) != 0:
            raise LayerError("landlock", "landlock_add_rule")

    def enter(self):
        if libc.syscall(self._calls["landlock_restrict_self"], RULESET_FD, 0) != 0:
            raise LayerError("landlock", "landlock_restrict_self")


class Folder:
    """The working folder /tmp: found empty by every sample.

    With a mount namespace of our own a used folder is replaced by a new file system; it is known to be unused when
    its root inode (times included) and its free blocks and inodes are what they were when it was mounted. Without
    one, what the sample left is deleted and its growth is watched while the sample runs.
    """

    def __init__(self, path, mountable):
        self.path, self._mountable = path, mountable
        self._mounted = False
        self._size = self._files = None
        self._pristine = None

    def prepare(self, size, files):
        """Makes the folder empty; True when it is another inode than before."""
        if not self._mountable:
            self._size, self._files = size, files
            if os.listdir(self.path):
                self._wipe()
            return False
        if self._mounted and (size, files) == (self._size, self._files) and self._state() == self._pristine:
            return False
        os.chdir("/")
        if self._mounted and libc.umount2(self.path.encode(), MNT_DETACH) != 0:
            raise LayerError("fresh /tmp", "umount2")
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME
        options = "size=%d,nr_inodes=%d,mode=700,uid=%d,gid=%d" % (size, files, os.getuid(), os.getgid())
        if libc.mount(b"tmpfs", self.path.encode(), b"tmpfs", flags, options.encode()) != 0:
            raise LayerError("fresh /tmp", "mount")
        os.chdir(self.path)
        self._mounted, self._size, self._files = True, size, files
        self._pristine = self._state()
        return True

    def _state(self):
        node, space = os.stat(self.path), os.statvfs(self.path)
        times = (node.st_atime_ns, node.st_mtime_ns, node.st_ctime_ns)
        return (node.st_mode, node.st_uid, node.st_gid, node.st_nlink, times, space.f_bfree, space.f_ffree)

    def overuse(self):
        """Flags of the limits that the folder's content has reached."""
        if self._mountable:
            space = os.statvfs(self.path)
            return (FLAG_TMP_BYTES if space.f_bfree == 0 else 0) | (FLAG_TMP_FILES if space.f_ffree == 0 else 0)
        blocks = files = 0
        pending = [self.path]
        while pending and files <= self._files:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        files += 1
                        blocks += entry.stat(follow_symlinks=False).st_blocks
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
            except OSError:
                continue  # removed or closed to us meanwhile: counted next time, or removed at the end
        return (FLAG_TMP_BYTES if blocks * 512 >= self._size else 0) | (
            FLAG_TMP_FILES if files >= self._files else 0
        )

    def _wipe(self):
        """Deletes everything below the folder, however deep and whatever its modes. No path grows: a folder found
        inside another one is moved up first."""
        serial = 0
        while True:
            names = os.listdir(self.path)
            if not names:
                return
            for name in names:
                top = os.path.join(self.path, name)
                if not stat.S_ISDIR(os.lstat(top).st_mode):
                    os.unlink(top)
                    continue
                os.chmod(top, 0o700)
                for inner in os.listdir(top):
                    path = os.path.join(top, inner)
                    if stat.S_ISDIR(os.lstat(path).st_mode):
                        os.chmod(path, 0o700)
                        serial += 1
                        os.rename(path, os.path.join(self.path, ".%d.%d" % (serial, os.getpid())))
                    else:
                        os.unlink(path)
                os.rmdir(top)


class Confinement:
    """What a child adds to itself. Everything is prepared here so that the child only makes the calls."""

    def __init__(self, config):
        self._config = config
        self._calls = calls = config["calls"]
        self.landlock = Landlock(config["landlock"], calls) if config["landlock"] else None
        self._capabilities = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
        self._no_capabilities = ctypes.create_string_buffer(24)
        self._filters = {}
        self.seen = []
        for name, text in config["child_filters"].items():
            code = bytes.fromhex(text["code"])
            buffer = ctypes.create_string_buffer(code, len(code))
            self._filters[name] = (buffer, text["pid_offsets"], SockFprog(len(code) // 8, ctypes.addressof(buffer)))

    def enter(self, order):
        """In the child. Raises LayerError when a step fails; after it nothing can be undone."""
        cpu_s, memory, tmp, processes = order[1:5]
        if cpu_s:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (tmp, tmp))
        if processes > 1 and self._config["count_processes"]:
            resource.setrlimit(resource.RLIMIT_NPROC, (processes + 1, processes + 1))
        if self._config["drop_capabilities"]:
            if libc.syscall(self._calls["capset"], self._capabilities, self._no_capabilities) != 0:
                raise LayerError("capabilities", "capset")
        if self.landlock:
            self.landlock.enter()
        if self._filters:
            if order[0] == ORDER_PROBE:
                self.seen = witness(self._calls, self._config["private_root"])
            buffer, pid_offsets, program = self._filters["one" if processes == 1 else "many"]
            pid = struct.pack("=I", os.getpid())
            for offset in pid_offsets:
                buffer[offset : offset + 4] = pid
            if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
                raise LayerError("seccomp", "prctl(PR_SET_SECCOMP)")


class Zygote:
    """Reads orders, forks, reports. `prepare(order, fds)` runs before each fork; `child(zygote, prepared, order,
    fds)` runs in the child and must not return."""

    def __init__(self, config, child, prepare=lambda order, fds: None):
        self.config = config
        self._child = child
        self._prepare = prepare
        self._control = _socket.socket(fileno=CONTROL_FD)
        self.confinement = Confinement(config)
        self._folder = Folder(config["tmp"], config["mountable"])
        self._reap = {"namespace": reap_namespace, "children": reap_children}.get(config["reap"])

    def serve(self):
        for name in self.config["preload"]:
            __import__(name)
        reserve_low_descriptors()
        stack = resource.getrlimit(resource.RLIMIT_STACK)[1]
        resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))
        if self.config["reap"] == "children" and libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise LayerError("process", "prctl(PR_SET_CHILD_SUBREAPER)")
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._prepare_folder(self.config["tmp_bytes"])
        gc.collect()
        gc.disable()
        self._filler = fill_holes()
        gc.freeze()
        self._report(REPORT_READY)
        while True:
            order, fds = receive_order(self._control)
            if order is None:
                os._exit(0)
            self._run(order, fds)

    def enter_confinement(self, order):
        """In the child. A step that fails is told to the supervisor over the control socket, which is closed after
        the last one: no program can send or forge that report."""
        try:
            self.confinement.enter(order)
        except BaseException as error:
            self._report(REPORT_FAILED, text=str(error))
            os._exit(1)
        self._control.close()
        os.close(RULESET_FD)

    def _run(self, order, fds):
        self._prepare_folder(order[3])
        prepared = self._prepare(order, fds)
        pid = os.fork()
        if pid == 0:
            try:
                self._child(self, prepared, order, fds)
            finally:
                os._exit(1)
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._report(REPORT_STARTED, fd=pidfd)
        flags = self._watch_folder(pidfd) if self.config["watch"] else 0
        _, status, usage = os.wait4(pid, 0)
        os.close(pidfd)
        flags |= self._folder.overuse()
        if self._reap:
            flags |= self._reap()
        self._report(REPORT_EXITED, status, usage, flags)

    def _watch_folder(self, pidfd):
        poller, flags = select.poll(), 0
        poller.register(pidfd, select.POLLIN)
        while not flags and not poller.poll(50):
            flags = self._folder.overuse()
        if flags:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return flags

    def _prepare_folder(self, size):
        renewed = self._folder.prepare(size, self.config["tmp_files"])
        landlock = self.confinement.landlock
        if landlock and (renewed or not landlock.ready):
            landlock.renew(self._folder.path)

    def _report(self, kind, status=0, usage=None, flags=0, text="", fd=-1):
        send_report(self._control, kind, status, usage, flags, text, fd)


def receive_order(socket):
    """The next order and its descriptors; None, None when the supervisor has hung up."""
    data, ancillary, _, _ = socket.recvmsg(ORDER.size, _socket.CMSG_SPACE(8 * 4))
    if not data:
        return None, None
    return ORDER.unpack(data), [fd for _, _, payload in ancillary for (fd,) in struct.iter_unpack("=i", payload)]


def send_report(socket, kind, status=0, usage=None, flags=0, text="", fd=-1):
    user = int(usage.ru_utime * 1e6) if usage else 0
    system = int(usage.ru_stime * 1e6) if usage else 0
    peak = usage.ru_maxrss if usage else 0
    report = REPORT.pack(kind, status, user, system, peak, flags, text.encode("utf-8", "replace")[:255])
    if fd < 0:
        socket.send(report)
    else:
        socket.sendmsg([report], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=i", fd))])


def fill_holes():
    """Takes the free blocks between those in use, until the allocator of small objects starts a pool of its own for
    each size: a child's new objects then lie together, not each in another page that it must copy first."""
    pool_size, header_size, most_bytes = 16384 if sys.version_info >= (3, 10) else 4096, 48, 256 << 10
    kept = []
    for size in range(32, 513, 16):
        for count in range(most_bytes // size):
            kept.append(float(count) if size == 32 else bytes(size - 33))  # an empty bytes object has 33 bytes
            if id(kept[-1]) % pool_size == header_size:
                break
    return kept


def reap_namespace():
    """Kills what is left in the pid namespace, whose number 1 this process is, and waits for it."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return FLAG_LEFTOVERS if wait_for_all() else 0


def reap_children():
    """Without a pid namespace: kills what was handed to this process as the nearest subreaper. A /proc that does not
    tell who that is ends the zygote: a process that is left would be another sample's company."""
    found = 0
    while True:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            children = [int(pid) for pid in file.read().split()]
        if not children:
            return found
        found = FLAG_LEFTOVERS
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        wait_for_all()


def wait_for_all():
    n_waited = 0
    try:
        while True:
            os.wait4(-1, 0)
            n_waited += 1
    except ChildProcessError:
        return n_waited


def reserve_low_descriptors():
    """Descriptors that arrive with an order must not lie where the child will put them."""
    fd = -1
    while fd < FIRST_FREE_FD:
        fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.close(fd)


def place_descriptors(fds):
    """In the child: fds[i] becomes descriptor i; only RULESET_FD and CONTROL_FD stay open beside them."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    os.closerange(len(fds), RULESET_FD)
    os.closerange(FIRST_FREE_FD, 256)
