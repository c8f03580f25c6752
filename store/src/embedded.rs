//! The Postgres that Headwater runs by itself when it is given none.
//!
//! It uses an installed server and keeps a cluster in the data directory, with fsync on and a Unix socket only. Any number of
//! processes attach to it. Two lock files order them, and the kernel releases both when a process dies, however it dies:
//! whoever starts or stops the server holds `gate.lock` exclusively; whoever uses it holds `use.lock` shared. The last to
//! leave finds that it can have `use.lock` for itself, and stops the server. A server whose users were all killed stays up, and
//! the next process finds it. The server has a session of its own, so that Ctrl-C reaches us and not it.

mod cluster;
mod doctor;
mod servers;
mod upgrade;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

use cluster::Cluster;
pub use doctor::{Finding, Level, Report, doctor};
pub(crate) use servers::command as command_as;
pub use servers::{PgUser, Server, find_servers};
pub use upgrade::{Upgraded, upgrade};

/// The database of the control plane.
const DATABASE: &str = "headwater";

/// Owner of the cluster.
const ROLE: &str = "headwater";

/// Longest path of a socket that every system takes.
const MAX_SOCKET_PATH: usize = 100;

/// Looks at a lock before somebody else is believed to hold it.
const UNUSED_LOOKS: u32 = 6;

/// Pause between two looks.
const UNUSED_PAUSE: Duration = Duration::from_millis(5);

/// The embedded server.
#[derive(Debug)]
pub struct EmbeddedPostgres;

/// A process's use of the embedded server. Dropping it lets go without stopping the server; [`Attached::detach`] is the polite way.
#[derive(Debug)]
pub struct Attached {
    cluster: Cluster,
    in_use: File,
}

impl EmbeddedPostgres {
    /// Attaches to the cluster of a data directory: makes it if there is none, starts it if it does not run, and waits until it
    /// answers, through crash recovery if need be. Run as root, the server runs as `pg_user` (`postgres` if absent).
    pub async fn attach(data_dir: &Path, pg_user: Option<&str>) -> Result<Attached> {
        let user = PgUser::resolve(pg_user)?;
        std::fs::create_dir_all(data_dir).map_err(|error| unusable(data_dir, error))?;
        let data_dir = data_dir.canonicalize().map_err(|error| unusable(data_dir, error))?;
        servers::check_can_enter(&data_dir, user.as_ref())?;
        let cluster = Cluster::open(&data_dir, user)?;
        let gate = lock_exclusive(cluster.gate_lock()).await?;
        let in_use = open_lock(&cluster.use_lock())?;
        in_use.lock_shared().map_err(|error| unusable(&cluster.use_lock(), error))?;
        cluster.ensure_running().await?;
        cluster.ensure_database(DATABASE).await?;
        drop(gate);
        Ok(Attached { cluster, in_use })
    }
}

impl Attached {
    /// URL of the control plane's database.
    pub fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// URL of another database of the server.
    pub fn url_of(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// Makes a database of that name unless it exists, e.g. for a demo's source.
    pub async fn ensure_database(&self, database: &str) -> Result<()> {
        self.cluster.ensure_database(database).await
    }

    /// The directory of the server's socket.
    pub fn socket_dir(&self) -> &Path {
        self.cluster.socket_dir()
    }

    /// Lets go, and stops the server if nobody else uses it. Answers whether it was stopped.
    pub async fn detach(self) -> Result<bool> {
        let gate = lock_exclusive(self.cluster.gate_lock()).await?;
        drop(self.in_use);
        let all = open_lock(&self.cluster.use_lock())?;
        let last = is_unused(&all).await;
        if last {
            self.cluster.stop().await?;
        }
        drop(gate);
        Ok(last)
    }
}

/// Whether nobody else holds the lock. A process that this one is just starting holds a copy of every lock until it has become another
/// program, so a lock that is held is looked at again.
async fn is_unused(lock: &File) -> bool {
    for _ in 1..UNUSED_LOOKS {
        if lock.try_lock().is_ok() {
            return true;
        }
        tokio::time::sleep(UNUSED_PAUSE).await;
    }
    lock.try_lock().is_ok()
}

/// Waits for a lock without blocking the runtime.
async fn lock_exclusive(path: PathBuf) -> Result<File> {
    tokio::task::spawn_blocking(move || {
        let file = open_lock(&path)?;
        file.lock().map_err(|error| unusable(&path, error))?;
        Ok(file)
    })
    .await
    .map_err(|error| StoreError::bug("waiting for a lock file was interrupted").caused_by(error))?
}

fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: std::io::Error) -> StoreError {
    StoreError::invalid(format!("{} can't be used: {error}", path.display()))
        .hint("choose another place with --data-dir or HEADWATER_DATA_DIR, or give a server with --database-url")
        .caused_by(error)
}

/// A directory for a socket: in the data directory if its path is short enough, else a private one in the system's temporary
/// directory, named after the data directory.
fn socket_dir(data_dir: &Path, name: &str) -> PathBuf {
    let near = data_dir.join(name);
    if near.as_os_str().len() + "/.s.PGSQL.5432.lock".len() <= MAX_SOCKET_PATH {
        return near;
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let suffix = name.strip_prefix("run").unwrap_or(name);
    PathBuf::from("/tmp").join(format!("headwater-{}{suffix}", hex::encode(&digest[..8])))
}

#[cfg(test)]
mod tests;
