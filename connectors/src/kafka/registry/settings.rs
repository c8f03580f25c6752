//! Settings of a schema registry.

use std::path::PathBuf;

use headwater_engine::{EngineError, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// The schema registry that has the schemas of messages.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrySettings {
    /// Its address, e.g. `https://registry.example.com:8081`, with the path below which it answers, if it has one.
    pub url: String,
    /// The user, if it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The PEM file of the authority that signed its certificate; the system's authorities if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Everything needed to reach a registry.
#[derive(Clone)]
pub(crate) struct Address {
    pub url: Url,
    /// User and password.
    pub login: Option<(String, String)>,
    pub ca: Option<PathBuf>,
}

impl Address {
    /// Reads the settings. An error does not repeat the address, which may hold a password where none belongs.
    pub(crate) fn resolve(connection: &str, settings: &RegistrySettings) -> Result<Self> {
        let wrong = |what: &str, setting: &str, hint: &str| {
            let error = EngineError::config(format!("connection '{connection}': {what}"));
            Err(error.at_setting(format!("registry.{setting}")).hint(hint))
        };
        let url = Url::parse(settings.url.trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = url else {
            return wrong("option 'registry.url' is not an address", "url", "write it as https://HOST:PORT");
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            let what = "option 'registry.url' holds more than an address";
            return wrong(
                what,
                "url",
                "user and password are options of their own: registry.user and registry.password",
            );
        }
        if settings.ca.is_some() && url.scheme() == "http" {
            return wrong("option 'registry.ca' is not used without TLS", "ca", "write registry.url as https://…");
        }
        let login = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            _ => {
                let what = "options 'registry.user' and 'registry.password' belong together";
                return wrong(what, "user", "set both, the password as ${NAME}, or none");
            }
        };
        Ok(Self { url, login, ca: settings.ca.clone() })
    }
}

/// What is secret in the settings of a connection: the registry's password, and a login in its address, where none belongs.
pub(crate) fn secrets(settings: &Value) -> impl Iterator<Item = &str> {
    let text = |option: &str| settings.pointer(&format!("/registry/{option}")).and_then(Value::as_str);
    // A password may hold what ends the host elsewhere.
    let login = text("url").and_then(|url| url.rsplit_once('@')).map(|(login, _)| login);
    let login = login.map(|login| login.split_once("://").map_or(login, |(_, login)| login));
    login.into_iter().chain(text("password"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn resolve(settings: Value) -> Result<Address> {
        Address::resolve("events", &serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn an_address_holds_no_login_and_an_error_does_not_repeat_one() {
        let address = resolve(json!({ "url": "https://h.example:8081/apis/ccompat/v7", "user": "u", "password": "p" }));
        assert_eq!(address.unwrap().url.as_str(), "https://h.example:8081/apis/ccompat/v7");
        for wrong in [
            json!({ "url": "http://u:12345678@h" }),
            json!({ "url": "http://h?password=12345678" }),
            json!({ "url": "kafka://12345678" }),
            json!({ "url": "12345678" }),
            json!({ "url": "http://h", "user": "12345678" }),
            json!({ "url": "http://h", "password": "12345678" }),
            json!({ "url": "http://h", "ca": "/12345678" }),
        ] {
            let error = resolve(wrong).err().unwrap();
            assert!(
                error.hint.is_some() && error.setting.is_some() && !format!("{error:?}").contains("12345678"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_password_and_a_login_in_the_address_are_secret() {
        let settings = json!({ "registry": { "url": "http://u:a/b@h:1/x", "password": "pw-2" } });
        assert_eq!(secrets(&settings).collect::<Vec<_>>(), ["u:a/b", "pw-2"]);
        assert_eq!(secrets(&json!({ "bootstrap": "h" })).count(), 0);
    }
}
