//! Pipelines that run until they are stopped.

use super::{planned, told};
use crate::plan::STREAM_PLAN_FORMAT;
use crate::spec::{Stream, WriteMode};

fn text(head: &str, tasks: &str) -> String {
    format!("name: p\n{head}\ntasks:\n  a: {{ extract: {{ from: shop.t, cursor: id }} }}\n{tasks}")
}

const LOAD: &str = "  l: { load: { input: a, into: lake.t, mode: append } }\n";

#[test]
fn a_stream_is_in_the_plan_and_a_worker_that_knows_none_must_not_take_it() {
    let plan = planned(&text("stream: { every: 1s, rows: 500 }", LOAD)).plan.unwrap();
    assert_eq!(plan.plan_format, STREAM_PLAN_FORMAT);
    let stream = plan.stream.unwrap();
    assert_eq!((stream.every(WriteMode::Upsert).as_secs(), stream.rows()), (1, 500));
    let usual = planned(&text("stream: {}", LOAD)).plan.unwrap().stream.unwrap();
    assert_eq!(usual, Stream::default());
    assert_eq!((usual.every(WriteMode::Append).as_secs(), usual.every(WriteMode::Upsert).as_secs()), (10, 60));
}

#[test]
fn what_a_stream_cannot_do_is_refused_at_its_place() {
    let told = |head: &str, tasks: &str| told(&planned(&text(head, tasks)));
    assert_eq!(
        told("stream: { every: 5ms, rows: 0 }\nschedule: { every: 1h }", LOAD),
        [
            "2:1 bad_stream a pipeline has a schedule or a stream, and not both",
            "2:18 bad_stream a stream can't commit every 5ms",
            "2:29 bad_stream a batch has at least one row",
        ]
    );
    assert_eq!(told("stream: { evry: 5s }", LOAD), ["2:11 unknown_field there is no field 'evry' here"]);
    assert_eq!(
        told("stream: {}\nparams: { day: { type: date } }", LOAD),
        ["3:11 bad_parameter parameter 'day' has no default, and the stream gives it no value"]
    );
    let other = "  b: { extract: { from: shop.u } }\n  m: { load: { input: b, into: lake.u, mode: append } }\n";
    assert_eq!(
        told("stream: {}", &format!("{LOAD}{other}")),
        ["7:6 bad_stream the load 'm' follows no cursor, and would load the same rows again in each batch"]
    );
    let waits = "  w: { wait: 1s, needs: [l] }\n";
    assert_eq!(told("stream: {}", &format!("{LOAD}{waits}")), ["6:6 bad_stream a stream can't hold the wait task 'w'"]);
    let second = "  m: { load: { input: a, into: lake.u, mode: append }, needs: [l] }\n";
    assert_eq!(
        told("stream: {}", &format!("{LOAD}{second}")),
        ["6:6 bad_stream 'm' waits for 'l', which ends only when the stream is stopped"]
    );
    let shared = "  c: { extract: { from: shop.c } }\n  t: { transform: SELECT a.id FROM a JOIN c ON c.id = a.id }\n  \
                  m: { load: { input: t, into: lake.m, mode: append } }\n  n: { load: { input: t, into: lake.n, mode: append } }\n";
    assert_eq!(
        told("stream: {}", shared)[0],
        "5:6 bad_stream the extract 'c' is computed once for several loads, and a stream has no end at which to do so"
    );
    let dated = "  t: { transform: SELECT id FROM a WHERE id > extract(epoch FROM $interval_start) }\n  \
                 l: { load: { input: t, into: lake.t, mode: append } }\n";
    assert_eq!(
        told("stream: {}", dated),
        ["2:1 bad_stream a statement uses $interval_start or $interval_end, and a stream has no data interval"]
    );
}
