//! Processes that are killed at every step of a run.

use headwater_engine::failpoint::FAILPOINTS;

use crate::support::{World, server};

/// Tests each step at which a process can be killed, two at a time.
pub(crate) fn at_each_step(test: impl Fn(&str) + Copy + Send + Sync) {
    server();
    std::thread::scope(|scope| {
        for half in [0, 1] {
            scope.spawn(move || FAILPOINTS.iter().skip(half).step_by(2).for_each(|point| test(point)));
        }
    });
}

/// Runs `p.yaml` in a process that is killed at a step, and finishes its run. `dead` looks at what it has left. A transaction of another test may have
/// delayed the rows that come by a cursor: then there is no load at which to die.
pub(crate) fn run_through(world: &World, point: &str, dead: impl FnOnce()) {
    let mut command = world.command(&["run", "p.yaml"]);
    command.env("HEADWATER_FAILPOINTS", format!("{point}=kill"));
    let done = world.start(command).wait();
    if !done.was_killed() {
        assert!(done.status.success(), "{point}: {done}");
    } else if point != "after_finish" {
        dead();
        let rerun = world.json(&["runs", "rerun", "--json"]);
        assert_eq!(rerun["state"], "succeeded", "{point}: {rerun:#}");
    }
}
