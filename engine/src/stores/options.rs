//! Options of object stores: one set of names for every connector and for staging, and how they become a client.

use std::sync::Arc;
use std::time::Duration;

use headwater_pipelines::diagnostic::nearest_hint;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::plain::plain;
use crate::error::{EngineError, Result};

/// A client for objects and for uploads.
pub(super) type Client = (Arc<dyn ObjectStore>, Arc<dyn MultipartStore>);

/// Options that are true or false.
const FLAGS: [&str; 3] = ["allow_http", "anonymous", "path_style"];

/// Requests are repeated this often, each time after a longer pause; a wrong address is told within seconds.
const MOST_RETRIES: usize = 5;

/// No request is repeated after this time.
const RETRY_TIME: Duration = Duration::from_secs(60);

/// Which protocol a location speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    S3,
    Google,
    Azure,
}

impl Kind {
    pub(super) fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::Google),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }

    /// The options that mean something to it.
    fn options(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::S3 => &["region", "access_key_id", "secret_access_key", "session_token", "path_style"],
            Self::Google => &["service_account"],
            Self::Azure => &["account", "account_key", "sas_token", "tenant_id", "client_id", "client_secret"],
        };
        [&["endpoint", "allow_http", "anonymous"], own].concat()
    }

    /// Where credentials come from, for hints.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Self::S3 => "access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            Self::Google => "service_account, or GOOGLE_APPLICATION_CREDENTIALS",
            Self::Azure => {
                "account and account_key (or sas_token), or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
            }
        }
    }
}

/// Options of an object store. What is left out comes from the environment of the process that opens it: `AWS_*`, `AZURE_*`
/// and `GOOGLE_*` as those providers' own tools read them, workload identities included. Credentials given here are never
/// mixed with those of the environment.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreOptions {
    /// Address of a server that is not the provider's own, e.g. `http://minio.example.com:9000`; for `az://` with the account,
    /// e.g. `http://127.0.0.1:10000/devstoreaccount1`.
    endpoint: Option<String>,
    /// Allows an endpoint with `http://`, which anybody on the way can read and change. Off unless set.
    allow_http: Option<bool>,
    /// Sends no credentials: for public data. Off unless set.
    anonymous: Option<bool>,
    /// `s3://`: the region, e.g. `eu-central-1`; else `AWS_REGION`, `AWS_DEFAULT_REGION` or `us-east-1`.
    region: Option<String>,
    /// `s3://`: the name of the access key.
    access_key_id: Option<String>,
    /// `s3://`: the secret of the access key.
    secret_access_key: Option<String>,
    /// `s3://`: the token that belongs to a temporary access key.
    session_token: Option<String>,
    /// `s3://`: whether the bucket is in the path (`https://host/bucket`) and not in the host name (`https://bucket.host`). On
    /// unless set to false.
    path_style: Option<bool>,
    /// `az://`: the storage account.
    account: Option<String>,
    /// `az://`: a key of the account.
    account_key: Option<String>,
    /// `az://`: a shared access signature.
    sas_token: Option<String>,
    /// `az://`: the tenant of a service principal.
    tenant_id: Option<String>,
    /// `az://`: the client id of a service principal or managed identity.
    client_id: Option<String>,
    /// `az://`: the secret of a service principal.
    client_secret: Option<String>,
    /// `gs://`: the path of a service account's key file, or its JSON.
    service_account: Option<String>,
}

impl StoreOptions {
    /// Reads the options that a location of this kind takes; `owner` begins the messages.
    pub(super) fn read(owner: &str, kind: Kind, given: &Map<String, Value>) -> Result<Self> {
        let valid = kind.options();
        let mut options = Map::new();
        for (name, value) in given {
            if !valid.contains(&name.as_str()) {
                let message = format!("{owner}: {}:// locations have no option '{name}'", kind.scheme());
                let unknown = EngineError::config(message).hint(nearest_hint(name, valid).unwrap_or_default());
                return Err(unknown.at_setting(format!("options.{name}")));
            }
            let is_flag = FLAGS.contains(&name.as_str());
            // The value may be a secret, so that no message repeats it.
            let (read, expected) = match value {
                Value::String(text) if is_flag => (text.parse().ok().map(Value::Bool), "true or false"),
                Value::Bool(flag) if is_flag => (Some(Value::Bool(*flag)), "true or false"),
                Value::String(text) if !text.is_empty() => (Some(Value::String(text.clone())), "a text"),
                Value::Number(number) if !is_flag => (Some(Value::String(number.to_string())), "a text"),
                _ => (None, if is_flag { "true or false" } else { "a text that is not empty" }),
            };
            let read = read.ok_or_else(|| {
                EngineError::config(format!("{owner}: option '{name}' is not {expected}"))
                    .at_setting(format!("options.{name}"))
            })?;
            options.insert(name.clone(), read);
        }
        serde_json::from_value(Value::Object(options))
            .map_err(|_| EngineError::bug(format!("{owner}: the options of the object store can't be read")))
    }

    /// Whether the connection is unencrypted.
    pub(super) fn is_plain_http(&self) -> bool {
        self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }

    /// The server's address, if it is not the provider's own.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// A client for a bucket.
    pub(super) fn client(&self, owner: &str, kind: Kind, bucket: &str) -> Result<Client> {
        if self.is_plain_http() && self.allow_http != Some(true) {
            return Err(EngineError::config(format!("{owner}: the endpoint is not encrypted"))
                .hint("use https://, or set the option allow_http: true if the network is safe"));
        }
        let built = match kind {
            Kind::S3 => self.s3(owner, bucket)?.build().map(plain),
            Kind::Google => self.google(bucket).build().map(plain),
            Kind::Azure => self.azure(bucket).build().map(plain),
        };
        built.map_err(|error| {
            EngineError::config(format!("{owner}: the object store can't be opened: {}", super::plain::words(&error)))
                .hint(format!("credentials are {}", kind.credentials()))
        })
    }

    fn s3(&self, owner: &str, bucket: &str) -> Result<AmazonS3Builder> {
        let own = self.access_key_id.is_some() || self.secret_access_key.is_some();
        let mut builder = if own { AmazonS3Builder::new() } else { AmazonS3Builder::from_env() };
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let region = self.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(secret) = &self.secret_access_key {
            builder = builder.with_secret_access_key(secret);
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
        }
        let path_style = self.path_style.unwrap_or(true);
        match &self.endpoint {
            Some(endpoint) if path_style => builder = builder.with_endpoint(endpoint),
            Some(endpoint) => builder = builder.with_endpoint(with_bucket(owner, endpoint, bucket)?),
            None => {}
        }
        if let Some(anonymous) = self.anonymous {
            builder = builder.with_skip_signature(anonymous);
        }
        if self.allow_http == Some(true) {
            builder = builder.with_allow_http(true);
        }
        Ok(builder
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(!path_style)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry()))
    }

    fn azure(&self, container: &str) -> MicrosoftAzureBuilder {
        let own = self.account_key.is_some() || self.sas_token.is_some() || self.client_secret.is_some();
        let mut builder = if own { MicrosoftAzureBuilder::new() } else { MicrosoftAzureBuilder::from_env() };
        let settings = [
            (AzureConfigKey::AccountName, &self.account),
            (AzureConfigKey::AccessKey, &self.account_key),
            (AzureConfigKey::SasKey, &self.sas_token),
            (AzureConfigKey::AuthorityId, &self.tenant_id),
            (AzureConfigKey::ClientId, &self.client_id),
            (AzureConfigKey::ClientSecret, &self.client_secret),
            (AzureConfigKey::Endpoint, &self.endpoint),
        ];
        for (key, value) in settings {
            if let Some(value) = value {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(anonymous) = self.anonymous {
            builder = builder.with_skip_signature(anonymous);
        }
        if self.allow_http == Some(true) {
            builder = builder.with_allow_http(true);
        }
        builder.with_container_name(container).with_retry(retry())
    }

    fn google(&self, bucket: &str) -> GoogleCloudStorageBuilder {
        let mut builder = match &self.service_account {
            Some(json) if json.trim_start().starts_with('{') => {
                GoogleCloudStorageBuilder::new().with_service_account_key(json)
            }
            Some(path) => GoogleCloudStorageBuilder::new().with_service_account_path(path),
            None => GoogleCloudStorageBuilder::from_env(),
        };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(anonymous) = self.anonymous {
            builder = builder.with_skip_signature(anonymous);
        }
        let allow_http = self.allow_http == Some(true);
        builder
            .with_config(object_store::gcp::GoogleConfigKey::Client(ClientConfigKey::AllowHttp), allow_http.to_string())
            .with_bucket_name(bucket)
            .with_retry(retry())
    }
}

fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: MOST_RETRIES, retry_timeout: RETRY_TIME }
}

/// The endpoint with the bucket as the first part of its host name.
fn with_bucket(owner: &str, endpoint: &str, bucket: &str) -> Result<String> {
    let wrong =
        || EngineError::config(format!("{owner}: the endpoint is not an address")).hint("write https://host:port");
    let mut url = Url::parse(endpoint).map_err(|_| wrong())?;
    let host = format!("{bucket}.{}", url.host_str().ok_or_else(wrong)?);
    url.set_host(Some(&host)).map_err(|_| wrong())?;
    Ok(url.to_string().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn read(kind: Kind, options: Value) -> Result<StoreOptions> {
        StoreOptions::read("connection 'lake'", kind, options.as_object().unwrap())
    }

    #[test]
    fn an_unknown_option_is_an_error_that_names_the_nearest() {
        let error = read(Kind::S3, json!({ "regoin": "eu-central-1" })).err().unwrap();
        assert_eq!(error.message, "connection 'lake': s3:// locations have no option 'regoin'");
        assert_eq!(error.hint.unwrap(), "did you mean 'region'?");
        assert!(read(Kind::Azure, json!({ "region": "x" })).is_err(), "an option of another store");
    }

    #[test]
    fn every_option_is_documented_and_belongs_to_a_store() {
        let schema: Value = schemars::schema_for!(StoreOptions).into();
        let documented = schema["properties"].as_object().unwrap();
        let kinds = [Kind::S3, Kind::Google, Kind::Azure];
        let mut listed: Vec<&str> = kinds.into_iter().flat_map(Kind::options).collect();
        listed.sort_unstable();
        listed.dedup();
        let mut names: Vec<&str> = documented.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, listed);
        assert!(documented.values().all(|option| option["description"].is_string()));
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        let error = read(Kind::S3, json!({ "secret_access_key": ["hush"] })).err().unwrap();
        assert!(!error.message.contains("hush") && error.message.contains("secret_access_key"), "{error}");
    }

    #[test]
    fn plain_http_has_to_be_allowed() {
        let options = read(Kind::S3, json!({ "endpoint": "http://localhost:1" })).unwrap();
        let error = options.client("connection 'lake'", Kind::S3, "bucket").err().unwrap();
        assert!(error.hint.unwrap().contains("allow_http"));
        let options = read(Kind::S3, json!({ "endpoint": "http://localhost:1", "allow_http": "true" })).unwrap();
        options.client("connection 'lake'", Kind::S3, "bucket").unwrap();
    }

    #[test]
    fn a_bucket_can_be_part_of_the_host() {
        assert_eq!(
            with_bucket("x", "https://s3.example.com:9000", "lake").unwrap(),
            "https://lake.s3.example.com:9000"
        );
    }

    #[test]
    fn half_a_pair_of_keys_is_an_error_without_a_secret() {
        let options = read(Kind::S3, json!({ "secret_access_key": "hush" })).unwrap();
        let error = options.client("connection 'lake'", Kind::S3, "bucket").err().unwrap();
        assert!(!error.message.contains("hush") && error.hint.as_deref().unwrap().contains("access_key_id"), "{error}");
    }
}
