"""The programs that bench/evidence.py runs: one per CPU, each with the lock of the folder that it works in."""
import contextlib
import fcntl
import os
import signal
import subprocess
import threading


class Failed(Exception):
    pass


# The programs that run, to be stopped with this one.
running, stopping = set(), threading.Event()
# Per thread: the locks that it holds. The programs that it starts hold them, too: a training that outlives this one
# keeps its folder.
held = threading.local()


def stop_all():
    stopping.set()
    for process in list(running):
        interrupt(process)


def interrupt(process):
    """A training takes a snapshot first. (Popen.send_signal could take the end of the program from who waits for it.)"""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)


@contextlib.contextmanager
def locked(folder):
    """A folder that one run at a time works in."""
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(os.path.join(folder, "lock"), os.O_CREAT | os.O_RDWR)
    held.locks = getattr(held, "locks", []) + [descriptor]
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed(f"{folder}: another run, or a training that it left behind, is working there") from error
        yield
    finally:
        held.locks = held.locks[:-1]
        os.close(descriptor)


def run(a, command, cpu, log):
    """One program on one CPU; its output is appended to the log. Returns the CPU seconds that it took."""
    if stopping.is_set():
        raise Failed(f"{command[0]}: stopped")
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    allowed = sorted(os.sched_getaffinity(0))
    with open(log, "a") as output:
        process = subprocess.Popen([os.path.join(a.build, "bin", command[0]), *command[1:]], stdout=output,
                                   stderr=subprocess.STDOUT, env=environment, pass_fds=getattr(held, "locks", []),
                                   preexec_fn=lambda: os.sched_setaffinity(0, {allowed[cpu % len(allowed)]}))
        running.add(process)
        if stopping.is_set():
            interrupt(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        running.discard(process)
    if status:
        with open(log) as text:
            lines = text.read().strip().splitlines()
        errors = [line for line in lines[-20:] if "ERROR" in line] or lines[-1:]
        raise Failed(f"{log}: {command[0]} failed: {errors[-1] if errors else ''}")
    return usage.ru_utime + usage.ru_stime
