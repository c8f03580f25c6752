"""Runs of many small stages with the default settings of `headwater up`: waits that do nothing, and loads of ten rows from Postgres to Postgres.

usage: small_loads.py HEADWATER (scripts/bench calls it). RUNS comes from the environment, COUNT (1,000) is the size of a fan-out. Each case runs once
without being measured, which makes the target tables, and then RUNS times, loads once; what is printed are medians, from a run's start to its end as the
history has them. The rows of all targets are counted by psql.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime

HEADWATER, RUNS = sys.argv[1], int(os.environ["RUNS"])
COUNT, CHAIN, ROWS = int(os.environ.get("COUNT", 1000)), 40, 10
ENV = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "HEADWATER_DATABASE_URL")}


def spec(name, tasks):
    return f"name: {name}\ntasks:\n" + "".join(f"  {task}\n" for task in tasks)


def waits(count, needs):
    return [f"w{n}: {{ wait: 0s{needs(n, 'w')} }}" for n in range(count)]


def loads(prefix, count, needs):
    for n in range(count):
        yield f"e{n}: {{ extract: {{ from: shop.public.small }} }}"
        yield f"l{n}: {{ load: {{ input: e{n}, into: shop.public.{prefix}{n}, mode: append }}{needs(n, 'l')} }}"


def alone(n, letter):
    return ""


def after(n, letter):
    return f", needs: [{letter}{n - 1}]" if n else ""


CASES = {
    "waits": (spec("waits", waits(COUNT, alone)), COUNT),
    "chain_of_waits": (spec("chain_of_waits", waits(CHAIN, after)), CHAIN),
    "loads": (spec("loads", loads("fan", COUNT, alone)), COUNT),
    "chain_of_loads": (spec("chain_of_loads", loads("chain", CHAIN, after)), CHAIN),
}


def headwater(*arguments):
    done = subprocess.run([HEADWATER, *arguments], env=ENV, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"headwater {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def seconds(report):
    began, ended = (datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


with tempfile.TemporaryDirectory(prefix="hwsmall", dir="/var/tmp") as folder:
    os.chmod(folder, 0o755)
    ENV["HEADWATER_DATA_DIR"] = f"{folder}/data"
    up = subprocess.Popen([HEADWATER, "up", "--port", "0"], env=ENV, stderr=subprocess.PIPE, text=True)
    for line in up.stderr:
        if "ready on http" in line:
            break
    else:
        sys.exit(f"headwater up ended with {up.wait()}")
    subprocess.Popen(["cat"], stdin=up.stderr, stdout=subprocess.DEVNULL)
    # Source and target are a database of the embedded server, so that nothing else has to be there.
    socket = open(f"{folder}/data/postgres/postmaster.pid").read().splitlines()[4]
    owner = "headwater"

    def psql(database, sql):
        command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", socket, "-U", owner, "-d", database, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    psql("postgres", "CREATE DATABASE shop")
    psql("shop", f"CREATE TABLE small AS SELECT n AS id, 'row ' || n AS name FROM generate_series(1, {ROWS}) n")
    headwater("connections", "add", "shop", f"postgres://{owner}@localhost/shop?host={socket}")
    for name, (text, stages) in CASES.items():
        path = f"{folder}/{name}.yaml"
        with open(path, "w") as file:
            file.write(text)
        headwater("apply", path)
        times, measured = [], 1 if "loads" in name else RUNS
        for run in range(measured + 1):
            report = json.loads(headwater("run", name, "--remote", "--json"))
            times.append(seconds(report))
        took = statistics.median(times[1:])
        print(f"{name.replace('_', ' ')}: {stages} stages in {took:.2f} s, {took / stages * 1e3:.2f} ms a stage, {stages / took:,.0f} a second "
              f"(median of {measured}, default settings; the first run took {times[0]:.2f} s)", flush=True)
    for prefix, count in (("fan", COUNT), ("chain", CHAIN)):
        union = " UNION ALL ".join(f"SELECT count(*) AS c FROM {prefix}{n}" for n in range(count))
        wrong = psql("shop", f"SELECT count(*) FROM ({union}) AS t WHERE c <> {ROWS * 2}")
        if wrong != "0":
            sys.exit(f"{wrong} targets of {prefix} do not have {ROWS * 2} rows")
    up.send_signal(signal.SIGTERM)
    if up.wait():
        sys.exit(f"headwater up ended with {up.returncode}")
