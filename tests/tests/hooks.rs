//! Hooks: run in order after what they are about stands, at least once, and never undoing it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Case, Done, Room, finish, spawn};

tests::both!(
    hooks_run_in_order_once_what_they_are_about_stands,
    a_run_that_fails_says_so_and_its_rollback_too,
    a_hook_that_fails_hangs_or_is_missing_is_reported_and_undoes_nothing,
    a_webhook_posts_one_object_with_a_text_and_what_is_secret_stays_so,
    a_webhook_is_tried_three_times_where_that_may_help_and_once_where_it_can_not,
    a_webhook_without_its_variable_a_listener_or_a_true_address_fails_in_words_without_it,
    a_redirect_is_not_followed_with_what_is_secret,
    a_crash_between_a_commit_and_its_hook_leaves_the_hook_to_resume,
    a_hook_is_noted_with_its_event_or_neither_is,
    a_rehearsal_tells_nobody,
    a_rollback_that_fails_for_good_says_so_to_the_hooks,
    a_run_that_is_given_up_by_another_says_so_to_its_hooks,
    a_slow_hook_of_a_run_under_way_does_not_lose_the_lock,
);

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name", required = true }
"#;

const SECRET: &str = "s3cret-t0ken";

/// A room whose plan has these hooks, with a bundle `B` of two people.
fn room(case: Case, hooks: &str) -> Room {
    let sources = [("people.csv", "id,name\n1,Ann\n2,Bo\n")];
    let schema =
        "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'Mallory'));";
    let room = Room::with(case, &format!("{PLAN}{hooks}"), &sources, schema);
    room.bundle("B");
    room.with_own_plan()
}

/// A hook that adds a line to `log`.
fn logs(on: &str, word: &str) -> String {
    let on: Vec<String> = on.split(' ').map(|event| format!("\"{event}\"")).collect();
    format!(
        "[[hook]]\non = [{}]\ncommand = [\"sh\", \"-c\", \"echo {word} $SWITCHBACK_EVENT $SWITCHBACK_STATUS >> log\"]\n",
        on.join(", ")
    )
}

/// Runs a program with what the webhooks need in its environment.
fn with_secrets(room: &Room, program: &str, args: &[&str], port: u16) -> Done {
    let url = room.url();
    let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
    let mut command = room.command(program, &args);
    command
        .env("CHAT_URL", format!("http://127.0.0.1:{port}/hook/{SECRET}"))
        .env("CHAT_TOKEN", format!("Bearer {SECRET}"));
    finish(spawn(&mut command), None)
}

/// What came in: the head, and the body.
type Heard = Receiver<(String, Value)>;

/// Listens, gives these answers one after the other (then closes), and tells what came in. An answer
/// of 0 is silence.
fn listen(answers: &'static [u16]) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
            }
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            tell.send((head, serde_json::from_slice(&body).unwrap()))
                .ok();
            if *answer == 0 {
                silent.push(stream);
                continue;
            }
            let mut stream = stream;
            let line = format!(
                "HTTP/1.1 {answer} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(line.as_bytes()).unwrap();
        }
    });
    (port, heard)
}

const CHAT: &str = "[[hook]]\non = [\"completed\", \"rolled-back\"]\ntimeout = 2\n\
                    webhook = { url_env = \"CHAT_URL\", headers = { Authorization = \"CHAT_TOKEN\" } }\n";

/// Nothing that is kept or said holds the secret.
fn keeps_the_secret(room: &Room, done: &Done) {
    assert!(!done.err.contains(SECRET), "{}", done.err);
    assert!(!done.out.contains(SECRET), "{}", done.out);
    let bytes = room.db.everything();
    let holds = bytes
        .windows(SECRET.len())
        .any(|part| part == SECRET.as_bytes());
    assert!(!holds, "the ledger holds it");
}

/// Who holds a lock or runs a hook, in the ledger's words: a process that is not there any more.
fn gone(host: &str, run: &str) -> Value {
    serde_json::json!({"host": host, "boot": "b", "process": 1, "started": "s", "operator": "o", "run": run})
}

fn ledger(room: &Room) -> String {
    room.ask(
        "SELECT string_agg(event || ' ' || hook || ' ' || status || ' ' || tries, ', ' ORDER BY run, no) \
         FROM switchback_hooks",
    )
}

fn hooks_run_in_order_once_what_they_are_about_stands(case: Case) {
    let all = "started completed failed rolled-back";
    let room = room(
        case,
        &[
            logs(all, "one"),
            logs("completed", "two"),
            logs(all, "three"),
        ]
        .concat(),
    );
    let _ = room.on("apply", &["B", "--dry-run"]).code(0);
    assert!(!room.path("log").exists(), "a dry run tells nobody");
    let run = room.apply("B");
    assert_eq!(
        room.read("log"),
        "one started in-progress\nthree started in-progress\n\
         one completed completed\ntwo completed completed\nthree completed completed\n"
    );
    room.write("log", "");
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(
        room.read("log"),
        "one rolled-back rolled-back\nthree rolled-back rolled-back\n"
    );
    assert!(!ledger(&room).contains("pending"), "{}", ledger(&room));
}

fn a_run_that_fails_says_so_and_its_rollback_too(case: Case) {
    let room = room(case, &logs("completed failed rolled-back", "hook"));
    room.mend("people.csv", "Bo", "Mallory");
    room.bundle("C");
    let _ = room.on("apply", &["C", "--on-failure", "rollback"]).code(1);
    assert_eq!(
        room.read("log"),
        "hook failed failed\nhook rolled-back rolled-back\n"
    );
}

fn a_hook_that_fails_hangs_or_is_missing_is_reported_and_undoes_nothing(case: Case) {
    let hooks = "[[hook]]\non = [\"completed\"]\ncommand = [\"false\"]\n\
                 [[hook]]\non = [\"completed\"]\ncommand = [\"sleep\", \"60\"]\ntimeout = 1\n\
                 [[hook]]\non = [\"completed\"]\ncommand = [\"/no/such/program\"]\n";
    let room = room(case, &format!("{hooks}{}", logs("completed", "last")));
    let began = Instant::now();
    let done = room.on("apply", &["B"]).code(0).says(&[
        "hook 1 (false) on completed failed: it ended with 1; what the run wrote is committed",
        "hook 2 (sleep) on completed failed: it took longer than 1 s and was killed",
        "hook 3 (/no/such/program) on completed failed",
    ]);
    assert!(began.elapsed() < Duration::from_secs(20), "it waited");
    assert_eq!(room.read("log"), "last completed completed\n");
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
    assert_eq!(
        ledger(&room),
        "completed 1 failed 1, completed 2 failed 1, completed 3 failed 1, completed 4 done 1"
    );
    let _ = room.on("verify", &[&done.id()]).code(0);
    assert_eq!(room.read("log").lines().count(), 1, "none is run twice");
}

fn a_webhook_posts_one_object_with_a_text_and_what_is_secret_stays_so(case: Case) {
    let room = room(case, CHAT);
    let (port, heard) = listen(&[200, 204]);
    let done = with_secrets(&room, "apply", &["B"], port).code(0);
    let (head, body) = heard.recv().unwrap();
    assert!(
        head.starts_with(&format!("POST /hook/{SECRET} HTTP/1.1")),
        "{head}"
    );
    let head = head.to_lowercase();
    assert!(
        head.contains(&format!("authorization: bearer {SECRET}")),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body["run"], done.id());
    assert_eq!(body["status"], "completed");
    assert_eq!(body["counts"]["created"], 2);
    let text = body["text"].as_str().unwrap();
    assert!(
        text.contains(&done.id()) && text.contains("2 created"),
        "{text}"
    );
    keeps_the_secret(&room, &done);
    let back = with_secrets(&room, "rollback", &[&done.id()], port).code(0);
    assert_eq!(heard.recv().unwrap().1["status"], "rolled-back");
    keeps_the_secret(&room, &back);
}

fn a_webhook_is_tried_three_times_where_that_may_help_and_once_where_it_can_not(case: Case) {
    let room = room(case, CHAT);
    let (port, heard) = listen(&[503, 429, 200, 404, 500, 0, 500]);
    let done = with_secrets(&room, "apply", &["B"], port).code(0);
    assert_eq!(heard.try_iter().count(), 3, "503, 429, 200");
    assert_eq!(ledger(&room), "completed 1 done 3");
    let back = with_secrets(&room, "rollback", &[&done.id()], port)
        .code(0)
        .says(&["hook 1 (CHAT_URL) on rolled-back failed: the answer was 404 (try 1)"]);
    keeps_the_secret(&room, &back);
    let again = with_secrets(&room, "apply", &["B"], port)
        .code(0)
        .says(&["failed: the answer was 500 (try 3)"]);
    assert_eq!(heard.try_iter().count(), 4, "404; 500, silence, 500");
    keeps_the_secret(&room, &again);
}

fn a_webhook_without_its_variable_a_listener_or_a_true_address_fails_in_words_without_it(
    case: Case,
) {
    let room = room(
        case,
        &format!(
            "{CHAT}[[hook]]\non = [\"completed\"]\nwebhook = {{ url_env = \"CHAT_TOKEN\" }}\n\
         [[hook]]\non = [\"completed\"]\nwebhook = {{ url_env = \"NOT_THERE\" }}\n"
        ),
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let done = with_secrets(&room, "apply", &["B"], port).code(0).says(&[
        "the connection was refused (try 3)",
        "CHAT_TOKEN holds no http or https address",
        "the environment variable NOT_THERE is not set",
    ]);
    keeps_the_secret(&room, &done);
}

fn a_redirect_is_not_followed_with_what_is_secret(case: Case) {
    let room = room(case, CHAT);
    let (port, _heard) = listen(&[302]);
    let done = with_secrets(&room, "apply", &["B"], port)
        .code(0)
        .says(&["the answer was 302 (try 1)"]);
    keeps_the_secret(&room, &done);
}

fn a_crash_between_a_commit_and_its_hook_leaves_the_hook_to_resume(case: Case) {
    let room = room(case, &logs("completed rolled-back", "hook"));
    let run = room.on("apply", &["B", "--no-hooks"]).code(0).id();
    assert!(!room.path("log").exists());
    assert_eq!(ledger(&room), "completed 1 pending 0");
    // The process that began it is gone: as after a kill while it ran.
    let host = room.ask("SELECT host FROM switchback_runs");
    let holder = gone(&host, "r");
    room.sql(&format!(
        "UPDATE switchback_hooks SET status = 'running', holder = '{holder}'"
    ));
    let resumed = room
        .on("apply", &["B", "--resume"])
        .code(0)
        .says(&["its hooks were due"]);
    assert_eq!(resumed.id(), run);
    assert_eq!(room.read("log"), "hook completed completed\n");
    let _ = room.on("apply", &["B", "--resume"]).code(4);
    assert_eq!(room.read("log").lines().count(), 1, "it is run once");

    let _ = room.on("rollback", &[&run, "--no-hooks"]).code(0);
    assert_eq!(room.read("log").lines().count(), 1);
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(
        room.read("log"),
        "hook completed completed\nhook rolled-back rolled-back\n"
    );
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(room.read("log").lines().count(), 2);
}

fn a_hook_is_noted_with_its_event_or_neither_is(case: Case) {
    let room = room(case, &logs("completed", "hook"));
    let run = room
        .on("apply", &["B", "--no-hooks", "--batch-size", "1"])
        .code(0)
        .id();
    let _ = room.on("rollback", &[&run]).code(0);
    room.db
        .refuse("INSERT", "switchback_hooks", "true", "no hooks today");
    let _ = room.on("apply", &["B"]).code(3).says(&["no hooks today"]);
    assert_eq!(
        room.ask("SELECT status FROM switchback_runs ORDER BY seq DESC LIMIT 1"),
        "in-progress"
    );
    room.db.allow("switchback_hooks");
    std::fs::remove_file(room.path("log")).unwrap();
    let _ = room.on("apply", &["B", "--resume"]).code(0);
    assert_eq!(room.read("log"), "hook completed completed\n");
}

fn a_rehearsal_tells_nobody(case: Case) {
    let room = room(case, &logs("started completed rolled-back", "hook"));
    let _ = room.on("apply", &["B", "--rehearse"]).code(0);
    assert!(!room.path("log").exists());
}

fn a_rollback_that_fails_for_good_says_so_to_the_hooks(case: Case) {
    let room = room(case, &logs("failed rolled-back", "hook"));
    let run = room.apply("B");
    room.db.refuse("DELETE", "person", "true", "no");
    let _ = room.untried(&[&run]).code(3);
    assert_eq!(room.read("log"), "hook failed rollback-failed\n");
    room.db.allow("person");
    let _ = room.on("rollback", &[&run, "--resume"]).code(0);
    assert_eq!(
        room.read("log"),
        "hook failed rollback-failed\nhook rolled-back rolled-back\n"
    );
}

fn a_run_that_is_given_up_by_another_says_so_to_its_hooks(case: Case) {
    for program in ["apply", "rollback"] {
        let room = room(case, &logs("failed", "hook"));
        let old = room.apply("B");
        let other = room.apply("B");
        // As after a kill: in progress, and the lock is held by a process that is gone.
        let holder = gone("h", &other);
        room.sql(&format!(
            "UPDATE switchback_runs SET status = 'in-progress' WHERE id = '{other}';
             UPDATE switchback_lock SET run = '{other}', since = 0, expires = 0, holder = '{holder}'"
        ));
        let work = if program == "apply" { "B" } else { &old };
        let _ = room.on(program, &[work, "--take-over"]).code(0);
        assert_eq!(room.read("log"), "hook failed failed\n", "{program}");
    }
}

fn a_slow_hook_of_a_run_under_way_does_not_lose_the_lock(case: Case) {
    let room = room(
        case,
        "[[hook]]\non = [\"started\"]\ntimeout = 60\ncommand = [\"sh\", \"-c\", \"sleep 11; touch slept; sleep 2\"]\n",
    );
    let url = room.url();
    let apply = spawn(&mut room.command("apply", &["B", "--to", &url]));
    while !room.path("slept").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let renewed = "SELECT count(*) FROM switchback_lock WHERE expires - since > 35000";
    assert_eq!(room.ask(renewed), "1");
    let _ = finish(apply, None).code(0);
}
