"""A check of 40 tasks on the stored catalog of 2,000 tables: `headwater plan --snapshot`, beside a command that only opens the control plane.

usage: checks.py HEADWATER (scripts/bench calls it). RUNS comes from the environment. What is printed are medians; the check itself is the difference.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HEADWATER, RUNS = sys.argv[1], int(os.environ["RUNS"])
TABLES, COLUMNS, TASKS = 2000, 12, 40
ENV = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "HEADWATER_DATABASE_URL")}


def headwater(*arguments):
    done = subprocess.run([HEADWATER, *arguments], env=ENV, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"headwater {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def median(*arguments):
    times = []
    for _ in range(RUNS):
        began = time.monotonic()
        headwater(*arguments)
        times.append(1000 * (time.monotonic() - began))
    return statistics.median(times)


def spec():
    """Ten chains of an extract, a transform that joins the one before, a check and a load."""
    lines = ["name: checks", "tasks:"]
    for n in range(TASKS // 4):
        joined = f" LEFT JOIN t{n - 1} p ON p.id = e.id" if n else ""
        lines += [
            f"  e{n}: {{ extract: {{ from: shop.public.table_{n * 150} }} }}",
            f"  t{n}: {{ transform: 'SELECT e.id, e.c1, upper(e.c2) AS c2, e.c3 FROM e{n} e{joined}' }}",
            f"  c{n}: {{ check: {{ input: t{n}, rules: [{{ not_null: [id] }}] }} }}",
            f"  l{n}: {{ load: {{ input: c{n}, into: lake.loaded_{n}, mode: overwrite }} }}",
        ]
    return "\n".join(lines) + "\n"


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        ENV["HEADWATER_DATA_DIR"] = os.path.join(folder, "data")
        columns = ", ".join(f"c{n} {'text' if n % 2 == 0 else 'bigint'}" for n in range(1, COLUMNS))
        sql = f"DO $$ BEGIN FOR n IN 0..{TABLES - 1} LOOP EXECUTE format('CREATE TABLE table_%s (id bigint PRIMARY KEY, {columns})', n); END LOOP; END $$"
        # Keeps the embedded server running, so that no command measures its start.
        server = subprocess.Popen([HEADWATER, "up", "--port", "0"], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while subprocess.run([HEADWATER, "admin", "doctor"], env=ENV, capture_output=True).returncode:
                time.sleep(0.2)
            headwater("admin", "psql", "--database", "shop", "--", "-q", "-c", sql)
            sockets = headwater("admin", "psql", "--", "-XAt", "-c", "SHOW unix_socket_directories").strip()
            headwater("connections", "add", "shop", f"postgres://headwater@localhost/shop?host={sockets}", "--json")
            headwater("connections", "add", "lake", "delta", f"file://{folder}/lake", "--json")
            file = os.path.join(folder, "checks.yaml")
            with open(file, "w") as out:
                out.write(spec())
            opened, checked = median("pipelines", "list"), median("plan", file, "--snapshot", "--json")
            print(f"a check of {TASKS} tasks on a catalog of {TABLES:,} tables: {checked - opened:.0f} ms (the command {checked:.0f}, without it {opened:.0f})")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


main()
