"""An idle `headwater up`: time until it is ready, the first time and the second, and its memory with its Postgres.

usage: idle.py HEADWATER (scripts/bench calls it). RUNS comes from the environment. Memory is the sum of the proportional set sizes of all
processes, each page counted once, after ten idle seconds; Linux only.
"""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HEADWATER, RUNS = sys.argv[1], int(os.environ["RUNS"])
IDLE = 10


def start(folder):
    """The process, once it is ready, and the seconds that took."""
    env = {**os.environ, "HEADWATER_DATA_DIR": f"{folder}/data"}
    for name in ("DATABASE_URL", "HEADWATER_DATABASE_URL"):
        env.pop(name, None)
    os.sync()  # or the start waits for what others wrote before
    began = time.monotonic()
    process = subprocess.Popen([HEADWATER, "up", "--port", "0"], env=env, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "ready on http" in line:
            return process, time.monotonic() - began
    sys.exit(f"headwater up ended with {process.wait()}")


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.communicate()
    if process.returncode:
        sys.exit(f"headwater up ended with {process.returncode}")


def proportional(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(), re.M)[1]) * 1024


def family(process, folder):
    """The process and the server that works in the folder, with the server's children."""
    postmaster = int(open(f"{folder}/data/postgres/postmaster.pid").readline())
    children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=True)
    return [process.pid, postmaster, *map(int, children.stdout.split())]


first, again, ours, servers = [], [], [], []
# All folders are kept to the end: ext4 looks for inodes that were not freed within the last minutes, one by one, so a cluster made
# just after another was deleted takes up to twice as long.
with tempfile.TemporaryDirectory(prefix="hwidle", dir="/var/tmp") as parent:
    os.chmod(parent, 0o755)
    for number in range(RUNS):
        folder = f"{parent}/{number}"
        os.mkdir(folder)
        process, seconds = start(folder)
        first.append(seconds)
        stop(process)
        process, seconds = start(folder)
        again.append(seconds)
        time.sleep(IDLE)
        sizes = [proportional(pid) for pid in family(process, folder)]
        ours.append(sizes[0])
        servers.append(sum(sizes[1:]))
        stop(process)

print(f"start to ready: {statistics.median(first):.2f} s with a new data directory, {statistics.median(again):.2f} s with an old one")
ours, servers = statistics.median(ours) / 1e6, statistics.median(servers) / 1e6
print(f"idle: {ours + servers:.0f} MB proportional set size ({ours:.0f} MB headwater, {servers:.0f} MB Postgres)")
