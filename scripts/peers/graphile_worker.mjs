// graphile-worker on the Postgres whose URL is given: trigger to start on an idle worker, and jobs that do nothing.
// usage: node graphile_worker.mjs URL (scripts/bench calls it, where npm has installed the package)
import { Logger, run, makeWorkerUtils } from "graphile-worker";

const TRIGGERS = 300;
const JOBS = 10_000;
const url = process.argv[2];
const percentile = (times, p) => times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor((times.length * p) / 100))];

let started = () => {};
const utils = await makeWorkerUtils({ connectionString: url });
await utils.migrate();
const runner = await run({
  connectionString: url,
  concurrency: 64,
  pollInterval: 500,
  noHandleSignals: true,
  logger: new Logger(() => () => {}),
  taskList: { noop: async () => started(process.hrtime.bigint()) },
});

const times = [];
for (let n = 0; n < TRIGGERS; n++) {
  const start = process.hrtime.bigint();
  const done = new Promise((resolve) => (started = resolve));
  await utils.addJob("noop", {});
  times.push(Number((await done) - start) / 1e6);
  await new Promise((resolve) => setTimeout(resolve, 15));
}
console.log(`graphile-worker, trigger to start, idle: p50 ${percentile(times, 50).toFixed(2)} ms, p99 ${percentile(times, 99).toFixed(2)} ms`);
await runner.stop();

await utils.withPgClient((client) =>
  client.query("SELECT graphile_worker.add_job('noop', '{}'::json) FROM generate_series(1, $1)", [JOBS]));
let left = JOBS;
const begin = process.hrtime.bigint();
const all = new Promise((resolve) => (started = () => --left === 0 && resolve()));
const second = await run({
  connectionString: url,
  concurrency: 64,
  maxPoolSize: 10,
  noHandleSignals: true,
  logger: new Logger(() => () => {}),
  taskList: { noop: async () => started() },
});
await all;
const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
console.log(`graphile-worker, ${JOBS} jobs that do nothing: ${Math.round(JOBS / seconds)} jobs/s`);
await second.stop();
await utils.release();
