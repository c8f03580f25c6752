//! Metrics in Prometheus' text format. Every series is listed in [`SERIES`] and in docs/metrics.md.

use headwater_operations::{BOUNDS, Counts, Rollup};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// Every gauge: name, what it counts, labels.
pub const SERIES: [(&str, &str, &[&str]); 7] = [
    ("headwater_queue_ready", "Stage runs that a worker may claim now", &["queue"]),
    ("headwater_queue_delayed", "Stage runs that wait for their retry", &["queue"]),
    ("headwater_queue_oldest_ready_seconds", "How long the oldest claimable stage run has been ready", &["queue"]),
    ("headwater_runs_live", "Runs that are not finished", &["state"]),
    ("headwater_leases", "Attempts that hold a lease", &[]),
    ("headwater_stage_runs_waiting", "Stage runs that wait for time to pass", &[]),
    ("headwater_worker_slots", "Slots of all registered workers", &[]),
];

/// What has ended, as histograms of seconds by state: name, what it counts, the kind in the rollups, every state.
pub const ENDED: [(&str, &str, &str, &[&str]); 3] = [
    ("headwater_run_seconds", "Runs that have ended, by duration", "run", &["succeeded", "failed", "canceled"]),
    (
        "headwater_stage_run_seconds",
        "Stage runs that have ended, by duration; counted when their run ends",
        "stage_run",
        &["succeeded", "failed", "canceled", "skipped"],
    ),
    (
        "headwater_load_seconds",
        "Loads that have ended, by the duration of their stage run; counted when their run ends",
        "load",
        &["committed", "superseded", "failed"],
    ),
];

/// The counts as text.
pub(crate) fn render(counts: &Counts) -> Result<String, String> {
    let registry = Registry::new();
    fill(&registry, counts).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let mut families = registry.gather();
    families.extend(ENDED.iter().map(|(name, help, kind, states)| {
        family(name, help, states.iter().map(|state| histogram(state, rollup(&counts.ended, kind, state))))
    }));
    TextEncoder::new().encode(&families, &mut text).map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn fill(registry: &Registry, counts: &Counts) -> prometheus::Result<()> {
    let [ready, delayed, oldest, live, leases, waiting, slots] = SERIES;
    let labelled = |(name, help, labels): (&str, &str, &[&str])| -> prometheus::Result<IntGaugeVec> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    };
    let (ready, delayed, live) = (labelled(ready)?, labelled(delayed)?, labelled(live)?);
    let age = GaugeVec::new(Opts::new(oldest.0, oldest.1), oldest.2)?;
    registry.register(Box::new(age.clone()))?;
    for queue in &counts.queues {
        ready.with_label_values(&[&queue.queue]).set(queue.ready);
        delayed.with_label_values(&[&queue.queue]).set(queue.delayed);
        age.with_label_values(&[&queue.queue]).set(queue.oldest_ready_s);
    }
    for (state, count) in &counts.live_runs {
        live.with_label_values(&[state]).set(*count);
    }
    for ((name, help, _), value) in [(leases, counts.leases), (waiting, counts.waiting), (slots, counts.slots)] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))?;
    }
    Ok(())
}

fn rollup<'a>(rollups: &'a [Rollup], kind: &str, state: &str) -> Option<&'a Rollup> {
    rollups.iter().find(|rollup| rollup.kind == kind && rollup.state == state)
}

fn family(name: &str, help: &str, metrics: impl Iterator<Item = Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(metrics.collect());
    family
}

/// A histogram that the control plane has counted. A state that nothing has ended in yet counts zero, so that the series is there.
fn histogram(state: &str, rollup: Option<&Rollup>) -> Metric {
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    let buckets = BOUNDS.iter().enumerate().map(|(index, bound)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(
            rollup.and_then(|rollup| rollup.buckets.get(index)).map_or(0, |count| number(*count)),
        );
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(rollup.map_or(0, |rollup| number(rollup.count)));
    histogram.set_sample_sum(rollup.map_or(0.0, |rollup| rollup.seconds));
    let mut label = LabelPair::default();
    label.set_name("state".to_owned());
    label.set_value(state.to_owned());
    let mut metric = Metric::default();
    metric.set_label(vec![label]);
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_operations::QueueDepth;

    #[test]
    fn every_documented_series_is_rendered() -> Result<(), String> {
        let queue = QueueDepth { queue: "default".to_owned(), ready: 2, delayed: 1, oldest_ready_s: 0.5 };
        let counts = Counts { queues: vec![queue], live_runs: vec![("running".to_owned(), 3)], ..Counts::default() };
        let text = render(&counts)?;
        let documented = include_str!("../../docs/metrics.md");
        for (name, _, _) in SERIES {
            assert!(text.contains(name), "{name} is not rendered");
            assert!(documented.contains(name), "{name} is not documented");
        }
        for (name, ..) in ENDED {
            assert!(text.contains(name), "{name} is not rendered");
            assert!(documented.contains(name), "{name} is not documented");
        }
        assert!(text.contains("headwater_queue_ready{queue=\"default\"} 2"));
        Ok(())
    }

    #[test]
    fn an_idle_control_plane_has_every_series_of_what_ends() -> Result<(), String> {
        let text = render(&Counts::default())?;
        for (name, _, _, states) in ENDED {
            for state in states {
                assert!(text.contains(&format!("{name}_count{{state=\"{state}\"}} 0")), "{text}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_has_ended_is_a_histogram_by_state() -> Result<(), String> {
        let failed = Rollup {
            kind: "run".to_owned(),
            state: "failed".to_owned(),
            count: 3,
            seconds: 70.5,
            buckets: vec![0, 1, 1, 1, 2, 3, 3],
        };
        let text = render(&Counts { ended: vec![failed], ..Counts::default() })?;
        assert!(text.contains("headwater_run_seconds_bucket{state=\"failed\",le=\"60\"} 2"), "{text}");
        assert!(text.contains("headwater_run_seconds_bucket{state=\"failed\",le=\"+Inf\"} 3"), "{text}");
        assert!(text.contains("headwater_run_seconds_sum{state=\"failed\"} 70.5"), "{text}");
        Ok(())
    }
}
