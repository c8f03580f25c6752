"""TPC-H lineitem: out of Postgres into Delta and Parquet beside the COPY floor and connectorx, into Postgres beside psql, in one run.

usage: bench.py HEADWATER ROOT (scripts/bench calls it). SF, RUNS and BENCH_DIR come from the environment. Prints one row a case with the
median of RUNS, CPU seconds and peak resident memory of the process, and Headwater's ratio to its floor or peer. Then it compares counts and
sums of every column of the Delta table, read with the deltalake package, with Postgres' own.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HEADWATER, ROOT = sys.argv[1:3]
SCALE, RUNS = os.environ["SF"], int(os.environ["RUNS"])
FOLDER = os.environ.get("BENCH_DIR") or tempfile.mkdtemp(prefix="hwbench", dir="/var/tmp")
os.chmod(FOLDER, 0o755) if os.path.isdir(FOLDER) else os.makedirs(FOLDER, 0o755)
ENV = {**os.environ, "HEADWATER_DATA_DIR": f"{FOLDER}/data"}
for name in ("DATABASE_URL", "HEADWATER_DATABASE_URL"):
    ENV.pop(name, None)

SPEC = """name: {name}
tasks:
  lineitem: {{ extract: {{ from: tpch.public.lineitem }} }}
  publish: {{ load: {{ input: lineitem, into: {into}, mode: overwrite }} }}
"""


def run(*command, stdin=None):
    subprocess.run(command, env=ENV, check=True, stdout=subprocess.DEVNULL, input=stdin)


def measure(*command, env=ENV):
    """Wall seconds, CPU seconds and peak resident bytes of one process."""
    started = time.monotonic()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command} ended with {child.returncode}:\n{error.decode()}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def cases(of, *rows, settle=lambda: None):
    """Runs what is to be compared in turn: a machine that is slower for a while is so for all, and the ratio is the median of those of each turn
    to the first row, which `of` names. `settle` comes before each of them, so that none pays for what the one before it left to do."""
    measured = [[] for _ in rows]
    for run in range(RUNS):
        for (name, *command), runs in zip(rows, measured):
            print(f"{run + 1} of {RUNS}: {name}", file=sys.stderr, flush=True)
            settle()
            runs.append(measure(*command))
    floors = None
    for (name, *_), runs in zip(rows, measured):
        walls, cpus, peaks = zip(*runs)
        ratio = f"  {statistics.median(wall / floor for wall, floor in zip(walls, floors)):5.2f} x {of}" if floors else ""
        floors = floors or walls
        print(f"{name:38} {statistics.median(walls):7.2f} s  {statistics.median(cpus):7.2f} CPU s  {max(peaks) / 1e6:7.0f} MB{ratio}", flush=True)


def compare(url, table):
    """Counts and sums of every column, Postgres' against those of the Delta table read by other software."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    data = DeltaTable(table).to_pyarrow_dataset()
    sums, rows = {}, 0
    for batch in data.to_batches():
        rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns):
            kind = column.type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                value = pc.sum(pc.binary_length(column)).as_py()
            elif pa.types.is_date(kind):
                value = pc.sum(pc.cast(column, pa.int32()).cast(pa.int64())).as_py()
            elif pa.types.is_decimal(kind):
                value = pc.sum(pc.cast(column, pa.decimal128(38, kind.scale))).as_py()
            else:
                value = pc.sum(pc.cast(column, pa.int64())).as_py()
            sums[name] = sums.get(name, 0) + (value or 0)
    query = []
    for name, column in zip(data.schema.names, data.schema.types):
        if pa.types.is_date(column):
            query.append(f"sum({name} - date '1970-01-01')")
        elif pa.types.is_string(column) or pa.types.is_large_string(column):
            query.append(f"sum(octet_length({name}))")
        else:
            query.append(f"sum({name})")
    text = subprocess.run(
        ["psql", "-XAt", "-F", " ", url, "-c", f"SELECT count(*), {', '.join(query)} FROM lineitem"],
        env=ENV, check=True, capture_output=True, text=True,
    ).stdout.split()
    theirs, ours = text, [str(rows), *(str(sums[name]) for name in data.schema.names)]
    if theirs != ours:
        sys.exit(f"the Delta table differs from its source:\n{theirs}\n{ours}")
    print(f"equal in Postgres and in the Delta table: count and the sums of {len(sums)} columns ({rows:,} rows)")


def main():
    keep = subprocess.Popen(
        [HEADWATER, "admin", "psql", "--database", "tpch", "--", "-XqAt"], env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        keep.stdin.write("SELECT current_setting('unix_socket_directories');\n")
        keep.stdin.flush()
        url = f"postgres://headwater@localhost/tpch?host={keep.stdout.readline().strip()}"
        subprocess.run([f"{ROOT}/scripts/tpch-load", url, SCALE, "lineitem"], env=ENV, check=True)
        run(HEADWATER, "connections", "add", "tpch", url)
        run(HEADWATER, "connections", "add", "lake", "delta", f"file://{FOLDER}/lake")
        run(HEADWATER, "connections", "add", "files", "files", f"file://{FOLDER}/files")
        for name, into in [("to_delta", "lake.lineitem"), ("to_parquet", "'files.\"lineitem.parquet\"'")]:
            with open(f"{FOLDER}/{name}.yaml", "w") as spec:
                spec.write(SPEC.format(name=name, into=into))
        print(f"TPC-H lineitem at scale {SCALE}, median of {RUNS}, {os.cpu_count()} cores", flush=True)
        script = (
            "import sys, connectorx, pyarrow.parquet as pq\n"
            "url = sys.argv[1]\n"
            "pq.write_table(connectorx.read_sql(url, 'SELECT * FROM lineitem', return_type='arrow'), sys.argv[2])\n"
        )
        cases(
            "COPY",
            ("psql COPY binary to /dev/null", "psql", "-Xq", url, "-c", "COPY lineitem TO STDOUT (FORMAT binary)"),
            ("headwater run, Postgres to Delta", HEADWATER, "run", f"{FOLDER}/to_delta.yaml"),
        )
        cases(
            "connectorx",
            ("connectorx, Postgres to Parquet", sys.executable, "-c", script, connectorx_url(url), f"{FOLDER}/cx.parquet"),
            ("headwater run, Postgres to Parquet", HEADWATER, "run", f"{FOLDER}/to_parquet.yaml"),
        )
        databases(url)
        # Last: a child's peak counts from this process's own size, which the comparison makes large.
        compare(url, f"{FOLDER}/lake/lineitem")
    finally:
        keep.stdin.close()
        keep.wait()
        if "BENCH_DIR" not in os.environ:
            shutil.rmtree(FOLDER, ignore_errors=True)


def databases(url):
    """From Postgres and from a CSV file into Postgres, each beside psql doing the same."""
    subprocess.run(["psql", "-Xqc", "CREATE DATABASE copied", url], env=ENV, check=True)
    copied = url.replace("/tpch?", "/copied?")
    schema = subprocess.run(["pg_dump", "-s", "-t", "lineitem", "--no-owner", url], env=ENV, check=True, capture_output=True).stdout
    psql = lambda database, sql: run("psql", "-Xqc", sql, database)
    for table in ["piped", "read"]:
        subprocess.run(["psql", "-Xq", copied], env=ENV, check=True, stdout=subprocess.DEVNULL, input=schema)
        psql(copied, f"ALTER TABLE lineitem RENAME TO {table}")
    run(HEADWATER, "connections", "add", "copied", copied)
    # The server would vacuum the table of one turn, and write its pages out, during the next one.
    psql(copied, "ALTER SYSTEM SET autovacuum = off")
    psql(copied, "SELECT pg_reload_conf()")
    settle = lambda: psql(copied, "CHECKPOINT")
    pipe = f"psql -Xqc 'COPY lineitem TO STDOUT (FORMAT binary)' '{url}' | psql -Xqc 'TRUNCATE piped' -c 'COPY piped FROM STDIN (FORMAT binary)' '{copied}'"
    with open(f"{FOLDER}/to_postgres.yaml", "w") as spec:
        spec.write(SPEC.format(name="to_postgres", into="copied.public.lineitem"))
    cases(
        "pipe",
        ("psql pipe, Postgres to Postgres", "sh", "-c", pipe),
        ("headwater run, Postgres to Postgres", HEADWATER, "run", f"{FOLDER}/to_postgres.yaml"),
        settle=settle,
    )
    csv = f"{FOLDER}/files/lineitem.csv"
    subprocess.run(["psql", "-Xqc", f"\\copy lineitem TO '{csv}' (FORMAT csv, HEADER)", url], env=ENV, check=True)
    read = f"\\copy read FROM '{csv}' (FORMAT csv, HEADER)"
    types = {name: kind for name, kind in columns(url)}
    with open(f"{FOLDER}/from_csv.yaml", "w") as spec:
        named = ", ".join(f"{name}: \"{kind}\"" for name, kind in types.items())
        spec.write(f"name: from_csv\ntasks:\n  lineitem: {{ extract: {{ from: 'files.\"lineitem.csv\"', columns: {{ {named} }} }} }}\n"
                   "  publish: { load: { input: lineitem, into: copied.public.from_csv, mode: overwrite } }\n")
    cases(
        "\\copy",
        ("psql \\copy, CSV to Postgres", "psql", "-Xq", "-c", "TRUNCATE read", "-c", read, copied),
        ("headwater run, CSV to Postgres", HEADWATER, "run", f"{FOLDER}/from_csv.yaml"),
        settle=settle,
    )


def columns(url):
    """Names of the columns of lineitem and their types as a spec names them."""
    sql = ("SELECT attname || '|' || replace(replace(format_type(atttypid, atttypmod), 'numeric', 'decimal'), 'character', 'text') "
           "FROM pg_attribute WHERE attrelid = 'lineitem'::regclass AND attnum > 0 ORDER BY attnum")
    answer = subprocess.run(["psql", "-XqAtc", sql, url], env=ENV, check=True, capture_output=True, text=True).stdout
    for line in answer.splitlines():
        name, kind = line.split("|")
        yield name, "text" if kind.startswith("text") else kind


def connectorx_url(url):
    """connectorx takes the socket's folder as a percent-encoded host."""
    base, folder = url.split("?host=")
    return base.replace("localhost", folder.replace("/", "%2F"))


main()
