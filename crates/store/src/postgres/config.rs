//! What a URL says, as the client takes it.

use std::time::Duration;

use postgres::Config;
use postgres::config::{SslMode, TargetSessionAttrs};

use super::tls::Mode;
use super::url::PostgresUrl;

/// How long a connection may take, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) fn config(url: &PostgresUrl) -> Result<(Config, Mode), String> {
    let mut config = Config::new();
    config.user(
        &url.user()
            .ok_or("no user: name one in the URL or in PGUSER")?,
    );
    config.dbname(&url.database().unwrap_or_default());
    if let Some(password) = url.password()? {
        config.password(password);
    }
    let hosts = url.hosts()?;
    for (host, port) in &hosts {
        config.host(host).port(*port);
    }
    let seconds = url
        .option("connect_timeout")
        .and_then(|text| text.parse().ok());
    config.connect_timeout(seconds.map_or(CONNECT, Duration::from_secs));
    config.keepalives_idle(Duration::from_secs(30));
    config.keepalives_interval(Duration::from_secs(10));
    config.keepalives_retries(3);
    config.tcp_user_timeout(Duration::from_secs(60));
    config.application_name("switchback");
    if let Some(options) = url.option("options") {
        config.options(&options);
    }
    config.target_session_attrs(match url.option("target_session_attrs").as_deref() {
        None | Some("any") => TargetSessionAttrs::Any,
        Some("read-write" | "primary") => TargetSessionAttrs::ReadWrite,
        Some("read-only" | "standby") => TargetSessionAttrs::ReadOnly,
        Some(_) => return Err("target_session_attrs is one of any, read-write, read-only".into()),
    });
    let mode = Mode::of(url)?;
    let sockets = hosts.iter().all(|(host, _)| host.starts_with('/'));
    // No socket of this host speaks TLS.
    let mode = if sockets { Mode::Disable } else { mode };
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    Ok((config, mode))
}
