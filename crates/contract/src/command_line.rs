//! The command line as messages may repeat it.

use std::env;
use std::ffi::OsString;

use crate::visible::{inline, without_passwords};

/// Returns the arguments of this process, its name first, without the passwords of URLs and with all
/// that can't be seen escaped: for the parser's error message about those that are wrong.
pub fn shown_args() -> impl Iterator<Item = OsString> {
    env::args_os().map(|arg| {
        let text = arg.to_string_lossy();
        inline(&without_passwords(&text)).into_owned().into()
    })
}
