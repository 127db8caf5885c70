//! Keeps the password of a target out of the process list, which every user of the machine can read.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Starts the program anew in its own process, with the target in the environment, where the argument
/// `--to` holds a password; else returns. Called before anything else is done.
pub fn hide_password(program: &str) {
    let args: Vec<OsString> = env::args_os().collect();
    let Some((url, rest)) = without_target(&args) else {
        return;
    };
    let error = env::current_exe().map_or_else(
        |error| error,
        |path| {
            let mut command = Command::new(path);
            if let Some(name) = args.first() {
                command.arg0(name);
            }
            command.args(rest).env("DATABASE_URL", url).exec()
        },
    );
    writeln!(
        io::stderr(),
        "{program}: warning: the process list shows the password of --to: {error}"
    )
    .ok();
}

/// Takes the one `--to` whose URL holds a password from the arguments, the program's name not among them.
fn without_target(args: &[OsString]) -> Option<(OsString, Vec<OsString>)> {
    let (mut found, mut rest) = (None, Vec::new());
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--" {
            rest.push(arg.clone());
            rest.extend(args.cloned());
            break;
        }
        let url = match arg.to_str() {
            Some("--to") => args.next().map(OsString::as_os_str),
            Some(text) => text.strip_prefix("--to=").map(OsStr::new),
            None => None,
        };
        match url {
            Some(url) if found.is_none() => found = Some(url.to_owned()),
            // Named twice, or without a value: an error, which the parser says.
            Some(_) => return None,
            None => rest.push(arg.clone()),
        }
    }
    let url = found?;
    let text = url.to_str()?;
    (contract::without_passwords(text) != text).then_some((url, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(args: &[&str]) -> Option<(String, String)> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let (url, rest) = without_target(&args)?;
        Some((
            url.into_string().ok()?,
            rest.join(" ".as_ref()).into_string().ok()?,
        ))
    }

    #[test]
    fn only_a_target_with_a_password_is_taken() {
        let url = "postgres://u:p@h/d";
        let expected = |rest: &str| Some((url.to_owned(), rest.to_owned()));
        assert_eq!(taken(&["apply", "B", "--to", url, "-x"]), expected("B -x"));
        assert_eq!(
            taken(&["apply", "--to=postgres://u:p@h/d", "B"]),
            expected("B")
        );
        assert_eq!(
            taken(&["apply", "--to", url, "--", "--to"]),
            expected("-- --to")
        );
        assert_eq!(taken(&["apply", "B", "--to", "postgres://u@h/d"]), None);
        assert_eq!(taken(&["apply", "--to", url, "--to", url]), None);
        assert_eq!(taken(&["apply", "--to"]), None);
        assert_eq!(taken(&["apply", "--", "--to", url]), None);
    }
}
