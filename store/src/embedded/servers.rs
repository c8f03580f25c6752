//! Finding an installed server, and the user it runs as.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use crate::{Result, StoreError};

/// Places where packages put servers, with one directory for each major version.
const VERSIONED: [&str; 5] =
    ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt", "/Library/PostgreSQL"];

/// Oldest major version that the migrations run on.
const OLDEST: u32 = 14;

/// An installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its major version.
    pub major: u32,
    /// The directory of `postgres`, `initdb` and `pg_ctl`.
    pub bin: PathBuf,
}

/// The user that a server started by root runs as: Postgres refuses to run as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgUser {
    /// Its name.
    pub name: String,
    uid: Uid,
    gid: Gid,
}

impl PgUser {
    /// `None` for everybody but root, who stays who he is.
    pub fn resolve(name: Option<&str>) -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let name = name.unwrap_or("postgres");
        let user = User::from_name(name).ok().flatten().ok_or_else(|| {
            StoreError::invalid(format!("Postgres refuses to run as root, and there is no user '{name}'"))
                .hint("install a Postgres server, which makes the user postgres, or name another user with --pg-user")
        })?;
        if user.uid.is_root() {
            return Err(StoreError::invalid("Postgres refuses to run as root").hint("name another user with --pg-user"));
        }
        Ok(Some(Self { name: name.to_owned(), uid: user.uid, gid: user.gid }))
    }

    /// Gives a directory of ours to the user.
    pub(crate) fn own(user: Option<&Self>, path: &Path) -> std::io::Result<()> {
        match user {
            Some(user) => std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    /// The id that files of the server belong to.
    pub(super) fn uid(user: Option<&Self>) -> u32 {
        user.map_or_else(Uid::effective, |user| user.uid).as_raw()
    }
}

/// A command that runs as the server's user, in a directory it can enter, and knows nothing of the caller's `PG*` settings.
pub(crate) fn command(program: &Path, user: Option<&PgUser>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(std::process::Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Servers installed here that are new enough, newest first.
pub fn find_servers() -> Vec<Server> {
    let mut bins: Vec<PathBuf> = Vec::new();
    for root in VERSIONED {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        bins.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    if let Some(path) = std::env::var_os("PATH") {
        bins.extend(std::env::split_paths(&path));
    }
    bins.extend(["/usr/local/pgsql/bin", "/usr/bin"].map(PathBuf::from));
    // A link to a server is that server; each is asked once.
    let programs = bins.into_iter().filter_map(|bin| bin.join("postgres").canonicalize().ok());
    let bins: BTreeSet<PathBuf> = programs.filter_map(|program| program.parent().map(Path::to_owned)).collect();
    let mut servers: Vec<Server> = bins.iter().filter_map(|bin| at(bin)).collect();
    servers.retain(|server| server.major >= OLDEST);
    servers.sort_by_key(|server| std::cmp::Reverse(server.major));
    servers
}

/// The server in a directory, if there is a whole one.
fn at(bin: &Path) -> Option<Server> {
    if !["postgres", "initdb", "pg_ctl"].iter().all(|program| bin.join(program).is_file()) {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    Some(Server { major: digits.parse().ok()?, bin: bin.to_owned() })
}

/// The newest server, or the one of the cluster's major version if there is a cluster.
pub(super) fn choose(cluster_major: Option<u32>) -> Result<Server> {
    let servers = find_servers();
    match cluster_major {
        None => servers.into_iter().next().ok_or_else(|| {
            StoreError::invalid(format!("there is no Postgres server (version {OLDEST} or newer) on this machine"))
                .hint("install one (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), or give one with --database-url")
        }),
        Some(major) => {
            let found: Vec<String> = servers.iter().map(|server| server.major.to_string()).collect();
            servers.into_iter().find(|server| server.major == major).ok_or_else(|| {
                let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                StoreError::invalid(format!("the cluster was made by Postgres {major}, and the installed servers are: {found}"))
                    .hint(format!("install Postgres {major} beside it; then `headwater admin upgrade-db` moves the cluster to the newest server"))
            })
        }
    }
}

/// A dropped user must be able to enter the data directory.
pub(super) fn check_can_enter(data_dir: &Path, user: Option<&PgUser>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    let entered = command(Path::new("test"), Some(user)).arg("-x").arg(data_dir).status();
    match entered {
        Ok(status) if status.success() => Ok(()),
        _ => Err(StoreError::invalid(format!(
            "Postgres runs as user '{}', who can't enter {}",
            user.name,
            data_dir.display()
        ))
        .hint("choose a data directory that everybody can enter, e.g. --data-dir /var/lib/headwater")),
    }
}
