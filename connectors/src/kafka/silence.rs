//! Brokers that have just kept somebody waiting in vain. A plan asks several times over one opened connection, and a person waits for all of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For so long a broker that did not answer is not asked again.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// Addresses of such brokers, of one opened connection.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    since: Mutex<HashMap<String, Instant>>,
}

impl Silence {
    /// A broker did not answer.
    pub(super) fn note(&self, address: &str) {
        self.since.lock().insert(address.to_owned(), Instant::now());
    }

    /// Whether a broker did not answer just now.
    pub(super) fn is_silent(&self, address: &str) -> bool {
        self.since.lock().get(address).is_some_and(|since| since.elapsed() < GOOD_FOR)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::super::endpoint::Endpoint;
    use super::super::failure::Failure;
    use super::super::session::Session;

    #[tokio::test]
    async fn a_broker_that_did_not_answer_is_not_waited_for_again_at_once() {
        let settings =
            serde_json::from_value(json!({ "bootstrap": "broker.invalid:9092,other.invalid:9092" })).unwrap();
        let endpoint = Endpoint::resolve("ev", &settings).unwrap();
        let first = Failure::Silent.at(&endpoint, "broker.invalid:9092").message;
        let again = Session::open(&endpoint, "broker.invalid", 9092).await.unwrap_err().message;
        assert_eq!(again, first);
        // Another broker may well answer, and another opened connection asks anew.
        assert!(!endpoint.silence.is_silent("other.invalid:9092"));
        assert!(!Endpoint::resolve("ev", &settings).unwrap().silence.is_silent("broker.invalid:9092"));
    }
}
