//! A clock that a test moves, for real processes: the command and the Postgres servers that are started on it.

use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use chrono::{DateTime, Utc};

/// The library that gives a process its time of day.
const LIBRARY: &str = include_str!("clock.c");

/// The clock. It goes on at the real speed between the times that it is set to.
pub(crate) struct Clock {
    /// The last server that runs on it removes it.
    pub(crate) folder: PathBuf,
    seconds_ahead: File,
}

impl Clock {
    /// A clock that shows a time now.
    pub(crate) fn new(time: DateTime<Utc>) -> Self {
        let folder = tempfile::Builder::new().prefix("hwclock").tempdir_in("/tmp").unwrap().keep();
        // A server that root starts runs as another user.
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        let path = |name: &str| folder.join(name);
        std::fs::write(path("clock.c"), LIBRARY).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).args([path("clock.so"), path("clock.c")]);
        assert!(compiler.status().unwrap().success());
        let seconds_ahead = File::create(path("ahead")).unwrap();
        let clock = Self { folder, seconds_ahead };
        clock.set(time);
        clock
    }

    /// Moves it for all processes that run on it, to a time or less than a second after it.
    pub(crate) fn set(&self, time: DateTime<Utc>) {
        let ahead = (time - Utc::now()).num_milliseconds().div_euclid(1_000) + 1;
        self.seconds_ahead.write_all_at(&ahead.to_ne_bytes(), 0).unwrap();
    }

    /// Lets a process run on it.
    pub(crate) fn wind(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.folder.join("clock.so")).env("HEADWATER_TEST_CLOCK", self.folder.join("ahead"));
    }
}
