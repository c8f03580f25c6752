//! Metrics in Prometheus' text format. Every series is listed in [`SERIES`] and in docs/metrics.md.

use headwater_store::Counts;
use prometheus::{Encoder, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// Every series: name, what it counts, labels.
pub const SERIES: [(&str, &str, &[&str]); 7] = [
    ("headwater_queue_ready", "Stage runs that a worker may claim now", &["queue"]),
    ("headwater_queue_delayed", "Stage runs that wait for their retry", &["queue"]),
    ("headwater_queue_oldest_ready_seconds", "How long the oldest claimable stage run has been ready", &["queue"]),
    ("headwater_runs_live", "Runs that are not finished", &["state"]),
    ("headwater_leases", "Attempts that hold a lease", &[]),
    ("headwater_stage_runs_waiting", "Stage runs that wait for time to pass", &[]),
    ("headwater_worker_slots", "Slots of all registered workers", &[]),
];

/// The counts as text.
pub(crate) fn render(counts: &Counts) -> Result<String, String> {
    let registry = Registry::new();
    fill(&registry, counts).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).map_err(|error| error.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_store::QueueDepth;

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
        assert!(text.contains("headwater_queue_ready{queue=\"default\"} 2"));
        Ok(())
    }
}
