#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

fn resolve(url: &str, env: &[(&str, &str)]) -> Result<Endpoint> {
    let lookup = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Endpoint::resolve(&Settings { url: url.to_owned(), password: None, max_sessions: None }, &lookup)
}

#[test]
fn a_url_gives_every_part() {
    let endpoint =
        resolve("postgres://a%40b:p%3aw@db.example:6432/shop?sslmode=verify-full&connect_timeout=3", &[]).unwrap();
    assert_eq!(endpoint.host, Host::Tcp("db.example".to_owned()));
    assert_eq!((endpoint.port, endpoint.user.as_str(), endpoint.database.as_str()), (6432, "a@b", "shop"));
    assert_eq!(endpoint.password.as_deref(), Some("p:w"));
    assert_eq!(endpoint.sslmode, SslMode::VerifyFull);
    assert_eq!(endpoint.connect_timeout, Duration::from_secs(3));
}

#[test]
fn a_socket_is_named_by_parameter_or_escaped_host() {
    for url in ["postgres://app@/shop?host=/run/pg", "postgres://app@%2Frun%2Fpg/shop"] {
        assert_eq!(resolve(url, &[]).unwrap().host, Host::Socket(PathBuf::from("/run/pg")));
    }
}

#[test]
fn the_environment_fills_what_the_url_leaves_out() {
    let env = [
        ("PGHOST", "h"),
        ("PGPORT", "7"),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "s"),
        ("PGSSLMODE", "require"),
    ];
    let endpoint = resolve("postgres://", &env).unwrap();
    assert_eq!(endpoint.address(), "h:7/d");
    assert_eq!((endpoint.user.as_str(), endpoint.password.as_deref()), ("u", Some("s")));
    assert_eq!(endpoint.sslmode, SslMode::Require);
}

#[test]
fn an_unknown_parameter_is_refused_with_the_valid_ones() {
    let error = resolve("postgres://u@h/d?sslmod=require", &[]).unwrap_err();
    assert!(error.message.contains("'sslmod'") && error.message.contains("did you mean 'sslmode'"), "{error}");
    assert!(error.hint.unwrap().contains("sslmode"));
}

#[test]
fn the_first_fitting_line_of_the_password_file_wins() {
    let endpoint = resolve("postgres://u@h/d", &[]).unwrap();
    let text = "# comment\nother:*:*:*:no\nh:5432:d:u:a\\:b\\\\c\n*:*:*:*:late\n";
    assert_eq!(find_password(text, &endpoint).as_deref(), Some("a:b\\c"));
}

#[cfg(unix)]
#[test]
fn a_password_file_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "*:*:*:*:secret\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let with_mode = |mode| {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        resolve("postgres://u@h/d", &[("PGPASSFILE", path.as_str())]).unwrap()
    };
    assert_eq!(with_mode(0o600).password.as_deref(), Some("secret"));
    let open = with_mode(0o644);
    assert_eq!(open.password, None);
    assert!(open.password_file_note.unwrap().contains("chmod 600"));
}

#[test]
fn a_parameter_that_is_refused_is_named_without_its_value() {
    for url in ["postgres://u@h/d?sslpassword=hunter2", "postgres://u@h/d?nonsense=hunter2"] {
        let error = resolve(url, &[]).unwrap_err();
        assert!(
            !error.message.contains("hunter2") && !error.hint.unwrap().contains("hunter2"),
            "{url}: {}",
            error.message
        );
    }
}

#[test]
fn every_value_of_a_url_that_may_be_a_secret_is_taken_for_one() {
    let secrets = password_in("postgres://u:pa%2Fss@h/d?sslmode=require&sslpassword=other").unwrap();
    assert!(
        ["pa%2Fss", "pa/ss", "other"].iter().all(|secret| secrets.iter().any(|known| known == secret)),
        "{secrets:?}"
    );
    assert!(!secrets.iter().any(|known| known == "require"), "{secrets:?}");
}

#[test]
fn a_misspelled_scheme_is_named() {
    let error = resolve("postgress://u@h/d", &[]).unwrap_err();
    assert_eq!(error.message, "the url doesn't begin with postgres://, but with postgress://");
}
