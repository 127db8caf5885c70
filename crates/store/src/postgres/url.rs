//! Reading `postgres://…` and what libpq reads beside it: the environment, the service file and the
//! password file. Nothing of what is read is ever repeated in an error: it may be a password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The options that a URL may hold, and the environment variable that stands in for each.
const OPTIONS: [(&str, &str); 18] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("schema", ""),
    ("lock_timeout", ""),
    ("statement_timeout", ""),
    ("commit_timeout", ""),
];

/// Where a PostgreSQL database is. What it prints never holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(BTreeMap<&'static str, String>);

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or("a PostgreSQL target is written postgres://USER@HOST:PORT/DATABASE")?;
        let coded = "(special characters of a user, password or database are written %XX)";
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        if rest.contains('#') || database.contains(['@', '/', ':']) || query.contains('@') {
            return Err(format!("the URL has a character out of place {coded}"));
        }
        let mut found = BTreeMap::new();
        let mut set = |name: &'static str, value: &str| {
            if !value.is_empty() {
                found.insert(name, decoded(value)?);
            }
            Ok::<(), String>(())
        };
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        set("user", user)?;
        set("password", password)?;
        set("dbname", database)?;
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((name, port)) => (name, port.strip_prefix(':').unwrap_or(port)),
                None => host.split_once(':').unwrap_or((host, "")),
            };
            if !port.is_empty() && port.parse::<u16>().is_err() {
                return Err(format!("the URL's port is no number {coded}"));
            }
            names.push(name);
            ports.push(if port.is_empty() { "5432" } else { port });
        }
        set("host", &names.join(","))?;
        if hosts.contains(':') || names.len() > 1 {
            set("port", &ports.join(","))?;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let known = pair.split_once('=').and_then(|(name, value)| {
                let (name, _) = OPTIONS.iter().find(|(known, _)| *known == name)?;
                Some((*name, value))
            });
            let names: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
            let (name, value) = known.ok_or_else(|| {
                format!(
                    "the URL has an option that is not known; these are: {}",
                    names.join(", ")
                )
            })?;
            set(name, value)?;
        }
        if found
            .get("user")
            .is_some_and(|user: &String| user.contains(':'))
        {
            return Err(format!("the URL's user holds a colon {coded}"));
        }
        Ok(Self(found))
    }
}

impl PostgresUrl {
    /// Returns an option of the URL, of the service file or of the environment.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        let variable = OPTIONS.iter().find(|(known, _)| *known == name)?.1;
        let environment = || {
            let value = std::env::var(variable)
                .ok()
                .filter(|_| !variable.is_empty());
            value.filter(|value| !value.is_empty())
        };
        self.0
            .get(name)
            .cloned()
            .or_else(|| self.service(name))
            .or_else(environment)
    }

    /// The hosts to try, each with its port; a host that begins with `/` is a folder of sockets.
    pub(super) fn hosts(&self) -> Result<Vec<(String, u16)>, String> {
        let hosts = self.option("host").unwrap_or_else(default_host);
        let ports = self.option("port").unwrap_or_else(|| "5432".into());
        let ports: Result<Vec<u16>, _> = ports.split(',').map(str::parse).collect();
        let ports = ports.map_err(|_| "the port is no number")?;
        let hosts: Vec<&str> = hosts.split(',').collect();
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err("there must be one port, or one for each host".into());
        }
        let port = |place: usize| *ports.get(place).unwrap_or(&ports[0]);
        Ok(hosts
            .iter()
            .enumerate()
            .map(|(place, host)| ((*host).to_owned(), port(place)))
            .collect())
    }

    pub(super) fn user(&self) -> Option<String> {
        let own = || {
            ["USER", "LOGNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok())
        };
        self.option("user").or_else(own)
    }

    pub(super) fn database(&self) -> Option<String> {
        self.option("dbname").or_else(|| self.user())
    }

    /// The password: of the URL, the environment, or the password file's line for the host.
    pub(super) fn password(&self) -> Result<Option<String>, String> {
        if let Some(password) = self.option("password") {
            return Ok(Some(password));
        }
        let (user, database) = (
            self.user().unwrap_or_default(),
            self.database().unwrap_or_default(),
        );
        let path = self
            .option("passfile")
            .map(PathBuf::from)
            .or_else(|| home(".pgpass"));
        let Some((path, text)) =
            path.and_then(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?)))
        else {
            return Ok(None);
        };
        if open_to_others(&path) {
            return Err(format!(
                "{} can be read by others: make it `chmod 600`",
                path.display()
            ));
        }
        for (host, port) in self.hosts()? {
            let host = if host.starts_with('/') {
                "localhost"
            } else {
                host.as_str()
            };
            let wanted = [host, &port.to_string(), &database, &user];
            let found = text.lines().find_map(|line| matching(line, wanted));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns where another database of the same server is, by the same login. The password comes
    /// along: the password file may have it for this database alone.
    pub(super) fn beside(&self, database: &str) -> Result<Self, String> {
        let mut other = self.0.clone();
        other.insert("dbname", database.to_owned());
        other.extend(self.password()?.map(|password| ("password", password)));
        Ok(Self(other))
    }

    /// What libpq's programs find in their environment: where the database is, and the password.
    pub(super) fn environment(&self) -> Result<Vec<(&'static str, String)>, String> {
        let hosts = self.hosts()?;
        let list = |of: fn(&(String, u16)) -> String| -> String {
            hosts.iter().map(of).collect::<Vec<_>>().join(",")
        };
        let mut found = vec![
            ("PGHOST", list(|(host, _)| host.clone())),
            ("PGPORT", list(|(_, port)| port.to_string())),
            ("PGUSER", self.user().unwrap_or_default()),
            ("PGDATABASE", self.database().unwrap_or_default()),
        ];
        found.extend(self.password()?.map(|password| ("PGPASSWORD", password)));
        for name in [
            "sslmode",
            "sslrootcert",
            "sslcert",
            "sslkey",
            "options",
            "connect_timeout",
        ] {
            let variable = OPTIONS.iter().find(|(known, _)| *known == name);
            found.extend(variable.and_then(|(_, variable)| Some((*variable, self.option(name)?))));
        }
        Ok(found)
    }

    fn service(&self, name: &str) -> Option<String> {
        let service = self
            .0
            .get("service")
            .cloned()
            .or_else(|| std::env::var("PGSERVICE").ok())?;
        let path = std::env::var("PGSERVICEFILE").map(PathBuf::from).ok();
        let text = std::fs::read_to_string(path.or_else(|| home(".pg_service.conf"))?).ok()?;
        let section = text
            .lines()
            .map(str::trim)
            .skip_while(|line| *line != format!("[{service}]"));
        let mut lines = section.skip(1).take_while(|line| !line.starts_with('['));
        lines.find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    }
}

impl PostgresUrl {
    /// The URL with all that it holds, the password too: for the environment of a program of ours.
    pub(crate) fn whole(&self) -> String {
        let coded = |text: &str| -> String {
            let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
            bytes.collect()
        };
        let pairs = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={}", coded(value)));
        format!("postgres:///?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    /// What of it is secret.
    pub(crate) fn passwords(&self) -> impl Iterator<Item = &str> {
        let names = ["password", "sslpassword"].into_iter();
        names.filter_map(|name| self.0.get(name).map(String::as_str))
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.user() {
            write!(f, "{user}@")?;
        }
        for (place, (host, port)) in self.hosts().unwrap_or_default().iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            if host.contains(':') && !host.starts_with('/') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        write!(f, "/{}", self.database().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The place of Debian's sockets where it is there, as libpq has it built in; else this host.
fn default_host() -> String {
    let folder = "/var/run/postgresql";
    let there = std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if there { folder } else { "localhost" }.into()
}

fn home(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(name))
}

fn open_to_others(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o077 != 0)
}

/// Reads a line of the password file: `host:port:database:user:password`, `*` being any.
fn matching(line: &str, wanted: [&str; 4]) -> Option<String> {
    let (mut parts, mut escaped) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            ':' if !escaped && parts.len() < 5 => parts.push(String::new()),
            c => {
                escaped = false;
                parts.last_mut()?.push(c);
            }
        }
    }
    let fits = |(part, wanted): (&String, &str)| part == "*" || part == wanted;
    let password = (parts.len() == 5 && !line.starts_with('#')).then(|| parts[4].clone())?;
    parts.iter().zip(wanted).all(fits).then_some(password)
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, String> {
    let wrong = || {
        "the URL has a % that two hexadecimal digits do not follow (a % is written %25)".to_owned()
    };
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = tail
                .get(..2)
                .and_then(|two| std::str::from_utf8(two).ok())
                .ok_or_else(wrong)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| "the URL is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_printed_without_its_password() {
        let url: PostgresUrl = "postgres://app:p%40ss@db.example.org:6432/club?sslmode=require"
            .parse()
            .unwrap();
        assert_eq!(url.option("password").as_deref(), Some("p@ss"));
        assert_eq!(url.option("sslmode").as_deref(), Some("require"));
        assert_eq!(url.hosts(), Ok(vec![("db.example.org".into(), 6432)]));
        assert_eq!(url.to_string(), "postgres://app@db.example.org:6432/club");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.whole().parse(), Ok(url));
        let url: PostgresUrl = "postgresql://u@a,b:6000/d".parse().unwrap();
        assert_eq!(
            url.hosts(),
            Ok(vec![("a".into(), 5432), ("b".into(), 6000)])
        );
        let url: PostgresUrl = "postgres:///d?host=/tmp/s&user=u".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u@/tmp/s:5432/d");
    }

    #[test]
    fn a_password_is_never_repeated_however_the_url_is_broken() {
        let sound = "postgres://u:SECRET@h:5432/d?sslmode=require";
        let head = "postgres://u:".len();
        let mut tried = 0;
        let mut try_it = |text: String| {
            tried += 1;
            let shown = match text.parse::<PostgresUrl>() {
                Ok(url) => format!("{url} {url:?} {:?}", url.hosts()),
                Err(error) => error,
            };
            assert!(!shown.contains("SECRET"), "{text}: {shown}");
        };
        // What comes after the colon is the password: anything may be wrong from there on.
        for place in head..=sound.len() {
            for wrong in [
                "", "@", "/", ":", "?", "#", "%", "%zz", "&", "=", ",", "[", "]", "\\", "//", "é",
                " ", "\0",
            ] {
                try_it(format!("{}{wrong}{}", &sound[..place], &sound[place..]));
                let rest = sound[place..].get(1..).unwrap_or_default();
                let cut = format!("{}{wrong}{rest}", &sound[..place]);
                if cut.contains("SECRET") {
                    try_it(cut);
                }
                try_it(format!("{}{wrong}", &sound[..place]));
            }
        }
        for scheme in ["postgre://", "", "postgres:/", "POSTGRES://", "http://"] {
            try_it(format!("{scheme}u:SECRET@h/d"));
        }
        for whole in [
            "postgres://h/d?password=SECRET&x=1",
            "postgres://h/d?pasword=SECRET",
            "postgres://h/SECRET@x",
        ] {
            try_it(whole.into());
        }
        assert!(tried > 1000);
    }

    #[test]
    fn the_password_file_is_read_as_libpq_reads_it() {
        let wanted = ["h", "5432", "d", "u"];
        assert_eq!(
            matching("h:5432:d:u:pa\\:ss:x\\\\", wanted).as_deref(),
            Some("pa:ss:x\\")
        );
        assert_eq!(matching("*:*:*:u:p", wanted).as_deref(), Some("p"));
        assert_eq!(matching("#h:5432:d:u:p", wanted), None);
        assert_eq!(matching("h:5433:d:u:p", wanted), None);
        assert_eq!(matching("h:5432:d", wanted), None);
    }
}
