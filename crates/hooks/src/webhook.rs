//! A webhook: one JSON object, posted. One rule for trying again: no answer, 429 or 5xx is tried three
//! times in all, after 1 s and 2 s; any other answer but 2xx is final. Nothing secret is ever repeated.

use std::time::Duration;

use contract::plan::Webhook;
use contract::talk::counted;
use serde_json::{Value, json};
use store::ledger::{HookStep, Run, RunStatus};
use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue, Request, Uri};

use crate::{Ended, Permission};

/// How long to wait before each further try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Returns how long all tries can take.
pub(crate) fn longest(timeout: u64) -> Duration {
    Duration::from_secs(timeout) * 3 + PAUSES[0] + PAUSES[1]
}

/// Why a try failed, and whether another may do better.
struct Fault {
    message: String,
    again: bool,
}

/// Posts what became of the run.
pub(crate) fn post(
    hook: &Webhook,
    run: &Run,
    step: &HookStep,
    permission: &Permission,
    timeout: Duration,
) -> Ended {
    let failed = |tries, message| Ended {
        tries,
        failed: Some(message),
    };
    let request = match request(hook, run, step, permission) {
        Ok(request) => request,
        Err(message) => return failed(0, message),
    };
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // What is secret goes to the address that was named, and nowhere else.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("switchback/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(&agent, request.clone()) {
            Ok(()) => {
                return Ended {
                    tries,
                    failed: None,
                };
            }
            Err(fault) => match PAUSES.get(tries as usize - 1) {
                Some(pause) if fault.again => std::thread::sleep(*pause),
                _ => return failed(tries, format!("{} (try {tries})", fault.message)),
            },
        }
    }
}

fn attempt(agent: &Agent, request: Request<String>) -> Result<(), Fault> {
    let (message, again) = match agent.run(request) {
        Ok(answer) if answer.status().is_success() => return Ok(()),
        Ok(answer) => {
            let status = answer.status();
            let again = status.as_u16() == 429 || status.is_server_error();
            (format!("the answer was {}", status.as_u16()), again)
        }
        Err(error) => (words(&error).to_owned(), true),
    };
    Err(Fault { message, again })
}

/// An error in words of our own: those of others may repeat the address.
fn words(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "there was no answer in time",
        ureq::Error::HostNotFound => "the host is not known",
        ureq::Error::ConnectionFailed => "no connection",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no secure connection",
        ureq::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "the connection was refused",
            std::io::ErrorKind::TimedOut => "there was no answer in time",
            _ => "the connection broke",
        },
        _ => "it could not be sent",
    }
}

fn request(
    hook: &Webhook,
    run: &Run,
    step: &HookStep,
    permission: &Permission,
) -> Result<Request<String>, String> {
    let url = match (&hook.url, &hook.url_env) {
        (_, Some(name)) => permission.variable(name)?,
        (Some(url), None) => url.clone(),
        (None, None) => return Err("it names no address".into()),
    };
    let url = url
        .parse::<Uri>()
        .ok()
        .filter(|url| url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https")));
    let source = hook.url_env.as_deref().unwrap_or("`url`");
    let url = url.ok_or_else(|| format!("{source} holds no http or https address"))?;
    let mut request = Request::post(url)
        .header("content-type", "application/json")
        // It may be sent again after a crash: whoever must not take it twice knows it by this.
        .header("idempotency-key", format!("{}-{}", run.id, step.no));
    for (header, name) in &hook.headers {
        let value = HeaderValue::from_str(&permission.variable(name)?);
        let value = value.map_err(|_| format!("{name} holds what no header can"))?;
        let header = HeaderName::from_bytes(header.as_bytes());
        let header = header.map_err(|_| "a header's name is none".to_owned())?;
        request = request.header(header, value);
    }
    request
        .body(body(run, step).to_string())
        .map_err(|_| "it could not be put together".into())
}

/// What is told: figures, never a record.
fn body(run: &Run, step: &HookStep) -> Value {
    let counts = &run.counts;
    let text = match step.event.as_str() {
        "started" => format!("{}: run {} started", run.name, run.id),
        "rolled-back" if run.kept > 0 => format!(
            "{}: run {} is rolled back, {} kept",
            run.name,
            run.id,
            counted(run.kept.unsigned_abs(), "change")
        ),
        "rolled-back" => format!("{}: run {} is rolled back", run.name, run.id),
        "failed" if run.status == RunStatus::RollbackFailed => format!(
            "{}: run {} could not be taken back: rollback --resume {1}, or --resolve",
            run.name, run.id
        ),
        event => format!(
            "{}: run {} {event}: {} created, {} updated, {} unchanged, {} deleted, {} failed, {} not attempted",
            run.name,
            run.id,
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.deleted,
            counts.failed,
            counts.not_attempted
        ),
    };
    json!({
        "text": text,
        "event": step.event,
        "run": run.id,
        "status": run.status.word(),
        "name": run.name,
        "bundle": run.bundle,
        "environment": run.environment,
        "operator": run.operator,
        "counts": counts,
        "kept": run.kept,
    })
}
