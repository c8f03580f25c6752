#!/usr/bin/env python3
"""Checks the cases of the evaluation against a throwaway Postgres: tests/evaluation/validate.py POSTGRES_URL

The URL's role must be able to create databases. Requires psql and PyYAML. README.md describes the format.
"""
import collections, json, pathlib, re, subprocess, sys, zoneinfo

import yaml

HERE = pathlib.Path(__file__).parent
HALVES = ("test", "dev")
FIELDS = {
    "kind", "about", "wordings", "connections", "lake_tables", "expects", "refusal", "not_yet", "needs", "question", "now", "timezone", "target", "targets",
    "mode", "columns", "keys", "ordered", "top", "approximate", "gold", "gold_second", "interval", "schedule", "checks", "stops_on", "follow_ups", "sources",
}
MODES = {"append", "overwrite", "upsert", "insert_new", "delete_insert", "scd2"}
EXPECTS = {"compile": {"draft", "question", "refusal", "not_yet"}, "ask": {"answer", "question", "refusal"}}
REFUSALS = {"changes_data", "not_in_catalog", "secret"}
NOT_YET = {"scd2", "notify", "http"}
NEEDS = {"upsert", "insert_new", "delete_insert", "cursor", "deletes", "stream"}
RULES = {"not_null", "unique", "accepted_values", "sql"}
CLOCK = re.compile(r"\b(now\s*\(|current_date|current_timestamp|localtimestamp|random\s*\()", re.I)


def faults_of_form(case, schema):
    """What is wrong with a case before any database is asked."""
    kind, expects = case.get("kind"), case.get("expects")
    wordings = case.get("wordings", [])
    texts = [w.get("text") for w in wordings]
    if extra := set(case) - FIELDS:
        yield f"unknown fields {sorted(extra)}"
    if kind not in EXPECTS or expects not in EXPECTS[kind]:
        yield f"'{kind}' can't expect '{expects}'"
        return
    if not case.get("about"):
        yield "about is missing"
    if len(wordings) < 3 or len(set(texts)) < len(texts):
        yield "expected three or more different wordings"
    if all(w.get("language") == "en" for w in wordings):
        yield "expected a wording that is not English"
    if any(set(w) - {"text", "language", "simple"} or not re.fullmatch("[a-z]{2}", w.get("language", "")) for w in wordings):
        yield "a wording has text, a language of two letters, and simple"
    simple = any(w.get("simple") for w in wordings)
    if expects in ("draft", "answer") and not simple:
        yield "expected a simple wording"
    if expects == "refusal":
        if case.get("refusal") not in REFUSALS or simple or "gold" in case:
            yield f"a refusal names one of {sorted(REFUSALS)}, has no simple wording and no gold"
        return
    if schema not in case.get("connections", []) or set(case["connections"]) - {schema, "lake"}:
        yield f"connections are '{schema}' and 'lake'"
    if (expects == "question") != ("question" in case) or expects == "question" and set(case["question"]) != {"about", "answer"}:
        yield "a question has about and answer, and only a case that expects one has it"
    if (expects == "not_yet") != ("not_yet" in case) or set(case.get("not_yet", [])) - NOT_YET:
        yield f"not_yet is a list of {sorted(NOT_YET)}"
    if set(case.get("needs", [])) - NEEDS or "needs" in case and (kind != "compile" or expects not in {"draft", "question"}):
        yield f"needs of a draft is a list of {sorted(NEEDS)}"
    if not case.get("sources"):
        yield "sources are missing"
    zones = [case.get("timezone", "UTC")]
    if kind == "compile":
        schedule = case.get("schedule")
        if schedule is None:
            yield "schedule is missing ('none' if there is none)"
        elif schedule != "none":
            zones.append(schedule.get("timezone", "UTC"))
            if set(schedule) not in ({"cron", "timezone"}, {"every"}) or "cron" in schedule and len(schedule["cron"].split()) != 5:
                yield "a schedule is none, { every } or { cron, timezone }"
    for zone in zones:
        if zone not in zoneinfo.available_timezones():
            yield f"unknown time zone {zone}"
    for rule in case.get("checks", []):
        if len(set(rule) & RULES) != 1 or set(rule) - RULES - {"on_failure"} or rule.get("on_failure", "fail") not in ("fail", "warn"):
            yield f"a check has one of {sorted(RULES)} and on_failure: fail or warn"
    for part in parts(case):
        name = part.get("target", "answer")
        if kind == "compile" and (not str(name).startswith("lake.") or part.get("mode", "append") not in MODES):
            yield f"{name}: a target is lake.NAME, a mode one of {sorted(MODES)}"
        if part.get("mode") == "scd2":
            continue
        if not part.get("gold") or not part.get("columns"):
            yield f"{name}: gold or columns are missing"
        if set(part.get("keys", []) + part.get("approximate", [])) - set(part.get("columns", [])):
            yield f"{name}: keys or approximate that are no columns"
        if ("avg(" in part["gold"]) != ("approximate" in part):
            yield f"{name}: averages, and only they, are approximate"
        if part.get("ordered") and "order by" not in part["gold"].lower():
            yield f"{name}: ordered, but gold has no ORDER BY"
        if kind == "compile" and any(set(column) & set(" ,;{}()=\n\t") for column in part["columns"]):
            yield f"{name}: Delta can't hold such a column name"
        if "top" in part and (set(part["top"]) != {"n", "by"} or set(part["top"]["by"]) - set(part["columns"])):
            yield f"{name}: top has n, and by with columns"
        if CLOCK.search(part.get("gold", "") + part.get("gold_second", "")):
            yield f"{name}: gold reads the clock; write the instants that 'now' and 'timezone' give"


def parts(case):
    """Each SELECT with its columns: the targets of a draft, or the turns of a conversation."""
    if "targets" in case:
        return case["targets"]
    return [case] + case.get("follow_ups", [])


def psql(url, script):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url], input=script, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def database(url, name):
    """The URL of another database of the same server."""
    head, _, query = url.partition("?")
    scheme, rest = head.split("://", 1)
    return f"{scheme}://{rest.split('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


LOOK = """
SELECT json_build_object(
  'columns', (SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'pg_temp.{view}'::regclass AND attnum > 0),
  'reads', (SELECT json_agg(DISTINCT d.refobjid) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
            WHERE r.ev_class = 'pg_temp.{view}'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),
  'rows', (SELECT json_agg(to_jsonb(v)) FROM pg_temp.{view} v));
"""


def look(case, part, changes):
    """Runs gold, then gold_second after the changes, and returns what Postgres reports of both. Changes nothing."""
    lake = "".join(f"CREATE TABLE lake.{name} AS {select};\n" for name, select in case.get("lake_tables", {}).items())
    script = f"BEGIN; SET LOCAL TimeZone = 'UTC'; CREATE SCHEMA lake;\n{lake}CREATE TEMP VIEW gold AS {part['gold']};" + LOOK.format(view="gold")
    sources = ", ".join("to_regclass('" + s.replace("'", "''") + "')::oid" for s in case["sources"])
    script += f"SELECT json_agg(x) FROM unnest(ARRAY[{sources}]) x;\n"
    if "gold_second" in part:
        script += f"CREATE TEMP TABLE first_run AS SELECT * FROM pg_temp.gold; DROP VIEW pg_temp.gold;\n{changes}\n"
        script += f"CREATE TEMP VIEW second AS {part['gold_second']};" + LOOK.format(view="second")
    return script + "ROLLBACK;\n"


def faults_of_rows(part, gold, second, name):
    """What is wrong with the rows of gold."""
    rows = gold["rows"] or []
    if gold["columns"] != part["columns"]:
        yield f"gold has the columns {gold['columns']}"
    if name == "data" and (not rows or len(rows) == 1 and set(rows[0].values()) <= {0, None}):
        yield "gold has no rows on data.sql"
    if part.get("keys"):
        keys = [tuple(json.dumps(row[key]) for key in part["keys"]) for row in rows]
        if len(set(keys)) < len(keys):
            yield f"keys are not unique on {name}"
    if second is not None:
        if second["columns"] != part["columns"]:
            yield f"gold_second has the columns {second['columns']}"
        if name == "data" and not second["rows"]:
            yield "gold_second has no rows on data.sql"


def faults_on(url, case, name, changes):
    """Runs every SELECT of a case on one data set."""
    reads, sources = set(), set()
    for part in parts(case):
        if part.get("mode") == "scd2":
            return
        try:
            gold, found, *second = map(json.loads, psql(url, look(case, part, changes)).splitlines())
        except RuntimeError as error:
            yield f"{name}: {error}"
            return
        reads |= set(gold["reads"] or [])
        sources |= set(found)
        for fault in faults_of_rows(part, gold, second[0] if second else None, name):
            yield f"{name}: {fault}"
    if sources != reads or len(case["sources"]) != len(reads):
        yield f"{name}: sources are not the tables that gold reads"


def faults_of_walk():
    walk = yaml.safe_load((HERE / "walk.yaml").read_text())
    if len(walk) != 20 or any(set(entry) != {"kind", "text", "wants"} for entry in walk):
        yield "walk.yaml: expected 20 entries with kind, text and wants"
    if collections.Counter(entry["kind"] for entry in walk) != {"compile": 12, "ask": 8}:
        yield "walk.yaml: expected 12 compile and 8 ask"


def main(url):
    faults, counts, simple, selects = list(faults_of_walk()), collections.Counter(), collections.defaultdict(collections.Counter), 0
    folders = [path for half in HALVES for path in sorted((HERE / half).iterdir()) if path.is_dir()]
    names = collections.Counter(folder.name for folder in folders)
    faults += [f"{name}: a schema belongs to one half" for name, number in names.items() if number > 1]
    for folder in folders:
        half = folder.parent.name
        cases = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((folder / "cases").glob("*.yaml"))}
        for name, case in cases.items():
            faults += [f"{folder.name}/{name}: {fault}" for fault in faults_of_form(case, folder.name)]
            counts[half, folder.name, case["kind"], case["expects"]] += 1
            simple[half]["wordings"] += len(case["wordings"])
            simple[half]["simple"] += sum(w.get("simple", False) for w in case["wordings"])
            simple[half]["cases with one"] += any(w.get("simple") for w in case["wordings"])
        changes = (folder / "changes.sql").read_text()
        for data in ("data", "hostile"):
            other = f"evaluation_{folder.name}_{data}"
            psql(url, f'DROP DATABASE IF EXISTS {other} WITH (FORCE);')
            psql(url, f"CREATE DATABASE {other} ENCODING 'UTF8' TEMPLATE template0;")
            there = database(url, other)
            psql(there, (folder / "schema.sql").read_text() + (folder / f"{data}.sql").read_text() + "ANALYZE;")
            for name, case in cases.items():
                if case["expects"] != "refusal":
                    faults += [f"{folder.name}/{name}: {fault}" for fault in faults_on(there, case, data, changes)]
                    selects += sum(("gold" in part) + ("gold_second" in part) for part in parts(case))
            tables, rows = psql(there, "SELECT count(*), sum(greatest(reltuples, 0)) FROM pg_class JOIN pg_stat_user_tables ON relid = pg_class.oid;").strip().split("|")
            print(f"{folder.name}, {data}.sql: {tables} tables, {rows} rows")
            psql(url, f"DROP DATABASE {other} WITH (FORCE);")
    for (half, schema, kind, expects), number in sorted(counts.items()):
        print(f"{half:5} {schema:12} {kind:8} {expects:9} {number:3}")
    for half in HALVES:
        print(f"{half}: {sum(number for key, number in counts.items() if key[0] == half)} cases; {dict(simple[half])}")
    print(f"{selects} SELECTs run")
    print("\n".join(faults) if faults else "no faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
