//! Moving the cluster to another major version of Postgres: dumped by the new server's programs, restored into a new cluster beside it, and put into its
//! place. The old cluster is kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cluster::{Cluster, run};
use super::servers::{self, PgUser, Server};
use super::{ROLE, find_servers, lock_exclusive, open_lock, unusable};
use crate::{Result, StoreError, Suggest};

/// The database that every cluster has from the start.
const MAINTENANCE: &str = "postgres";

/// A cluster that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// The major version before.
    pub from: u32,
    /// The major version after.
    pub to: u32,
    /// Where the old cluster is kept.
    pub kept: PathBuf,
}

/// Moves the cluster of a data directory to the newest installed server, or to the one of this major version. `None` if it is there already. No process
/// may be attached.
pub async fn upgrade(data_dir: &Path, pg_user: Option<&str>, to: Option<u32>) -> Result<Option<Upgraded>> {
    let user = PgUser::resolve(pg_user)?;
    let data_dir = data_dir.canonicalize().map_err(|error| unusable(data_dir, error))?;
    let old = Cluster::open(&data_dir, user)?;
    old.finish_upgrade()?;
    let from = old.major().ok_or_else(|| {
        StoreError::not_found(format!("there is no cluster in {}", data_dir.display())).suggest(Suggest::Doctor)
    })?;
    let target = match to {
        None => servers::choose(None)?,
        Some(major) => find_servers().into_iter().find(|server| server.major == major).ok_or_else(|| {
            StoreError::not_found(format!("there is no Postgres {major} on this machine")).suggest(Suggest::Doctor)
        })?,
    };
    if target.major == from {
        return Ok(None);
    }
    move_to(&old, from, &target).await.map(Some)
}

/// Moves a cluster to a server. Until the new one is whole the old one stays in its place.
pub(super) async fn move_to(old: &Cluster, from: u32, target: &Server) -> Result<Upgraded> {
    let gate = lock_exclusive(old.gate_lock()).await?;
    if open_lock(&old.use_lock())?.try_lock().is_err() {
        return Err(StoreError::invalid("processes are attached to the embedded Postgres")
            .hint("stop every headwater process that uses this data directory, then try again"));
    }
    old.finish_upgrade()?;
    let dumps = old.beside("dump");
    let new = old.apart("upgrading");
    // A server that an interrupted upgrade left. Nobody but that upgrade has ever reached it.
    if new.postmaster().is_some() {
        new.stop().await?;
    }
    // What an upgrade left that failed; one that died between its last two renames is finished above.
    for leftover in [&dumps, &new.pgdata(), &old.beside("upgraded")] {
        remove(leftover)?;
    }
    old.make_private(&dumps)?;
    old.ensure_running().await?;
    let dumped = dump(old, target, &dumps).await;
    old.stop().await?;
    let databases = dumped?;
    new.init(target).await?;
    new.configure()?;
    old.hand_down_settings(&new)?;
    new.start(target).await?;
    let restored = restore(&new, target, &dumps, &databases).await;
    new.stop().await?;
    restored?;
    // From here on the new cluster is whole. A process that dies between the renames leaves it under this name, and the next start puts it into its place.
    rename(&new.pgdata(), &old.beside("upgraded"))?;
    let kept = old.beside(&from.to_string());
    remove(&kept)?;
    rename(&old.pgdata(), &kept)?;
    old.finish_upgrade()?;
    remove(&dumps)?;
    remove(new.socket_dir())?;
    drop(gate);
    Ok(Upgraded { from, to: target.major, kept })
}

/// Dumps roles and every database into files; answers with the databases' names.
async fn dump(old: &Cluster, server: &Server, dumps: &Path) -> Result<Vec<String>> {
    let mut globals = program(old, server, "pg_dumpall");
    globals.args(["--globals-only", "--file"]).arg(dumps.join("globals.sql"));
    complete(old, globals, "the roles can't be dumped").await?;
    let databases = old.databases().await?;
    for (number, database) in databases.iter().enumerate() {
        let mut dump = program(old, server, "pg_dump");
        if database != MAINTENANCE {
            dump.arg("--create");
        }
        dump.arg("--dbname").arg(database).arg("--file").arg(dumps.join(format!("{number}.sql")));
        complete(old, dump, &format!("the database '{database}' can't be dumped")).await?;
    }
    Ok(databases)
}

/// Restores the dumps; any statement that fails ends it.
async fn restore(new: &Cluster, server: &Server, dumps: &Path, databases: &[String]) -> Result<()> {
    let globals = dumps.join("globals.sql");
    let text = std::fs::read_to_string(&globals).map_err(|error| unusable(&globals, error))?;
    // `initdb` has made the owner.
    let owner = format!("CREATE ROLE {ROLE};");
    let others: String = text.lines().filter(|line| *line != owner).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&globals, others).map_err(|error| unusable(&globals, error))?;
    complete(new, psql(new, server, MAINTENANCE, &globals), "the roles can't be restored").await?;
    for (number, database) in databases.iter().enumerate() {
        // The dump of any other database makes it and connects to it.
        let restore = psql(new, server, MAINTENANCE, &dumps.join(format!("{number}.sql")));
        complete(new, restore, &format!("the database '{database}' can't be restored")).await?;
    }
    Ok(())
}

fn psql(cluster: &Cluster, server: &Server, database: &str, file: &Path) -> Command {
    let mut psql = program(cluster, server, "psql");
    psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", database]);
    psql.arg("--file").arg(file);
    psql
}

/// A program of the server that connects to the cluster.
fn program(cluster: &Cluster, server: &Server, name: &str) -> Command {
    let mut command = servers::command(&server.bin.join(name), cluster.user());
    command.arg("--host").arg(cluster.socket_dir()).args(["--username", ROLE]);
    command
}

async fn complete(cluster: &Cluster, command: Command, what: &str) -> Result<()> {
    let output = run(command).await?;
    if output.status.success() { Ok(()) } else { Err(cluster.failed(what, &output)) }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| unusable(from, error))
}

/// Removes a directory of ours, if it is there.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(path, error)),
        _ => Ok(()),
    }
}
