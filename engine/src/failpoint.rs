//! Named places where a crash test ends the process or holds it.
//!
//! `HEADWATER_FAILPOINTS="before_commit=kill,after_intent=stop"`: `kill` is SIGKILL's effect on itself, `stop` freezes the
//! process until it is continued, `error` makes the place fail once. Only debug builds look; a release build compiles to nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{EngineError, Result};

/// Every failpoint of the engine, in the order in which a load passes them. Crash tests walk this list.
pub const FAILPOINTS: [&str; 7] = [
    "after_claim",
    "after_first_batch",
    "after_write",
    "after_intent",
    "after_commit",
    "before_finish",
    "after_finish",
];

/// Passes a named place.
pub fn failpoint(name: &str) -> Result<()> {
    debug_assert!(FAILPOINTS.contains(&name), "unknown failpoint {name}");
    if cfg!(debug_assertions) { act(name) } else { Ok(()) }
}

/// The places that have failed already, one bit each: they fail once, so that a retry gets past them.
static FAILED: AtomicU32 = AtomicU32::new(0);

fn bit(name: &str) -> u32 {
    FAILPOINTS.iter().position(|point| *point == name).map_or(0, |index| 1 << index)
}

#[allow(clippy::disallowed_methods, reason = "it is there to hold the thread, in debug builds alone")]
fn act(name: &str) -> Result<()> {
    static SETTING: std::sync::OnceLock<Vec<(String, String)>> = std::sync::OnceLock::new();
    let settings = SETTING.get_or_init(|| {
        let text = std::env::var("HEADWATER_FAILPOINTS").unwrap_or_default();
        text.split(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    });
    let Some((_, action)) = settings.iter().find(|(point, _)| point == name) else { return Ok(()) };
    tracing::warn!(failpoint = name, action, "failpoint reached");
    let signal = match action.as_str() {
        "kill" => "-KILL",
        "stop" => "-STOP",
        "error" if FAILED.fetch_or(bit(name), Ordering::Relaxed) & bit(name) != 0 => return Ok(()),
        "error" => return Err(EngineError::transient(format!("failpoint {name}"))),
        other => return Err(EngineError::bug(format!("failpoint {name} has an unknown action '{other}'"))),
    };
    let sent = std::process::Command::new("kill").arg(signal).arg(std::process::id().to_string()).status();
    // The thread that takes the signal stops the others a moment later; this one must not get past the place meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(300));
    sent.map(|_| ()).map_err(|error| EngineError::bug("failpoint could not signal the process").caused_by(error))
}
