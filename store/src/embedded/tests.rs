#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use sqlx::Connection;

use super::*;

/// A data directory that a dropped user can enter.
fn data_dir() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("hw").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn answer(url: &str) -> Result<i32, sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let answer: i32 = sqlx::query_scalar("SELECT count(*)::int FROM pg_database WHERE datname = 'headwater'")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(answer)
}

fn postmaster(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap();
    text.lines().next().unwrap().to_owned()
}

/// Another process that holds the shared lock until it is killed, as one of ours that uses the server does.
fn other_user(folder: &Path) -> Child {
    let mut child = Command::new("flock")
        .args(["--no-fork", "--shared"])
        .arg(folder.join("use.lock"))
        .args(["sh", "-c", "echo held; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_starts_with_the_first_and_stops_with_the_last() {
    let folder = data_dir();
    let first = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let second = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let url = second.url();
    assert_eq!(answer(&url).await.unwrap(), 1);
    assert!(!first.detach().await.unwrap());
    assert_eq!(answer(&url).await.unwrap(), 1);
    assert!(second.detach().await.unwrap());
    assert!(answer(&url).await.is_err());
    // The cluster is kept.
    let again = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let setting = std::fs::read_to_string(folder.path().join("postgres/headwater.conf")).unwrap();
    assert!(setting.contains("fsync = on") && setting.contains("listen_addresses = ''"));
    assert!(again.detach().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_attach_at_once_share_one_server() {
    let folder = data_dir();
    let attaching = (0..3).map(|_| {
        let path = folder.path().to_owned();
        tokio::spawn(async move { EmbeddedPostgres::attach(&path, None).await.unwrap() })
    });
    let mut attached = Vec::new();
    for task in attaching.collect::<Vec<_>>() {
        attached.push(task.await.unwrap());
    }
    let mut stopped = Vec::new();
    for one in attached {
        stopped.push(one.detach().await.unwrap());
    }
    assert_eq!(stopped, [false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_holds_nothing_up() {
    let folder = data_dir();
    let ours = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let mut other = other_user(folder.path());
    let server = postmaster(folder.path());
    assert!(!ours.detach().await.unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
    // Nobody stopped the server; the next process finds it and is the last to leave.
    let next = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    assert_eq!(postmaster(folder.path()), server);
    assert!(next.detach().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_started_again_and_has_lost_nothing() {
    let folder = data_dir();
    let first = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    first.ensure_database("shop").await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&first.url_of("shop")).await.unwrap();
    sqlx::query("CREATE TABLE t AS SELECT 1 AS n").execute(&mut connection).await.unwrap();
    let report = doctor(folder.path(), None).await.unwrap();
    assert!(report.is_healthy() && report.findings.iter().any(|finding| finding.what.contains("the server is up")));
    assert!(Command::new("kill").args(["-KILL", &postmaster(folder.path())]).status().unwrap().success());
    drop(first);
    let report = loop {
        let report = doctor(folder.path(), None).await.unwrap();
        if report
            .findings
            .iter()
            .any(|finding| finding.level == Level::Warn && finding.what.contains("did not stop by itself"))
        {
            break report;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(report.is_healthy());
    let again = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&again.url_of("shop")).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 1);
    connection.close().await.unwrap();
    assert!(again.detach().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_another_major_version_is_refused_with_what_to_do() {
    let folder = data_dir();
    std::fs::create_dir(folder.path().join("postgres")).unwrap();
    std::fs::write(folder.path().join("postgres/PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedPostgres::attach(folder.path(), None).await.unwrap_err();
    assert!(error.message.contains("made by Postgres 9"), "{error}");
    assert!(error.hint.unwrap().contains("upgrade-db"));
    assert!(!doctor(folder.path(), None).await.unwrap().is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_dropped_user_cannot_enter_is_refused() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let folder = data_dir();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::attach(&folder.path().join("data"), None).await.unwrap_err();
    assert!(error.message.contains("can't enter"), "{error}");
}

#[test]
fn a_long_data_directory_has_its_socket_elsewhere() {
    assert_eq!(socket_dir(Path::new("/var/lib/headwater"), "run"), Path::new("/var/lib/headwater/run"));
    let long = PathBuf::from(format!("/{}", "x".repeat(120)));
    let short = socket_dir(&long, "run");
    assert!(short.as_os_str().len() < 60 && short != socket_dir(&long.join("y"), "run"));
}

async fn values(url: &str) -> Vec<i32> {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let values = sqlx::query_scalar("SELECT x FROM kept ORDER BY x").fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_moved_to_another_server_with_all_its_databases_and_roles_and_the_old_one_is_kept() {
    let folder = data_dir();
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    attached.ensure_database("it's a \"source\"").await.unwrap();
    let url = attached.url_of("it's a \"source\"");
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let fill =
        "CREATE ROLE reader; CREATE TABLE kept AS SELECT generate_series(1, 3) AS x; GRANT SELECT ON kept TO reader;
        ALTER DATABASE \"it's a \"\"source\"\"\" SET statement_timeout = '55s'; ALTER DATABASE \"it's a \"\"source\"\"\" CONNECTION LIMIT 3";
    sqlx::raw_sql(fill).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let conf = folder.path().join("postgres/postgresql.conf");
    let theirs = std::fs::read_to_string(&conf).unwrap() + "work_mem = '77MB'\n";
    std::fs::write(&conf, theirs).unwrap();
    // The same server stands for a newer one: a second one need not be installed.
    let cluster = Cluster::open(&folder.path().canonicalize().unwrap(), PgUser::resolve(None).unwrap()).unwrap();
    let server = servers::choose(cluster.major()).unwrap();
    let refused = upgrade::move_to(&cluster, server.major, &server).await.unwrap_err();
    assert!(refused.message.contains("attached"), "{refused}");
    assert!(attached.detach().await.unwrap());
    let moved = upgrade::move_to(&cluster, server.major, &server).await.unwrap();
    assert!(moved.kept.join("PG_VERSION").exists() && moved.kept != cluster.pgdata());
    assert_eq!(upgrade(folder.path(), None, None).await.unwrap(), None, "it is there already");
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    assert_eq!(values(&url).await, [1, 2, 3]);
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let kept =
        "SELECT current_setting('work_mem') || ' ' || current_setting('statement_timeout') || ' ' || datconnlimit
                FROM pg_database WHERE datname = current_database()";
    let kept: String = sqlx::query_scalar(kept).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(kept, "77MB 55s 3");
    assert!(attached.detach().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_an_interrupted_upgrade_left_is_used_by_nobody_and_stopped_by_the_next() {
    let folder = data_dir();
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    assert!(attached.detach().await.unwrap());
    let cluster = Cluster::open(&folder.path().canonicalize().unwrap(), PgUser::resolve(None).unwrap()).unwrap();
    let server = servers::choose(cluster.major()).unwrap();
    let half = cluster.apart("upgrading");
    half.init(&server).await.unwrap();
    half.configure().unwrap();
    half.start(&server).await.unwrap();
    let left = half.postmaster().unwrap();
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&attached.url()).await.unwrap();
    let used: String =
        sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(used.ends_with("/postgres"), "{used}");
    assert!(attached.detach().await.unwrap());
    upgrade::move_to(&cluster, server.major, &server).await.unwrap();
    let alive = Command::new("kill").args(["-0", &left.to_string()]).stderr(Stdio::null()).status().unwrap();
    assert!(!alive.success(), "the server of the half-made cluster is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_died_before_its_last_step_is_finished_by_the_next_start() {
    let folder = data_dir();
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&attached.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 7 AS x").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(attached.detach().await.unwrap());
    std::fs::rename(folder.path().join("postgres"), folder.path().join("postgres.upgraded")).unwrap();
    let attached = EmbeddedPostgres::attach(folder.path(), None).await.unwrap();
    assert_eq!(values(&attached.url()).await, [7], "it is not taken for a new data directory");
    assert!(attached.detach().await.unwrap());
}
