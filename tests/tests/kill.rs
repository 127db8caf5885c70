//! Show 4: `kill -9` at any moment; the next command ends where an undisturbed run would have ended.

use std::fs;
use std::time::{Duration, Instant};

use tests::db::same;
use tests::{Bulk, Case, Db, Room, Seed, command, finish, spawn};

tests::both!(
    apply_killed_at_random_moments_ends_as_an_undisturbed_run_and_can_be_taken_back,
    rollback_killed_at_random_moments_resumes_to_the_state_before,
    a_run_that_was_killed_can_be_killed_again_while_it_resumes,
    sigterm_finishes_the_batch_in_hand_and_says_how_to_go_on,
);

const RUN: &str = "01900000-0000-7000-8000-000000000004";
/// How often each program is killed.
fn kills(case: Case) -> u64 {
    case.either(10, 6)
}

fn apply_args(url: &str) -> [&str; 9] {
    [
        "B",
        "--to",
        url,
        "--batch-size",
        "5",
        "--run-id",
        RUN,
        "--now",
        "2099-05-01T00:00:00Z",
    ]
}

/// A room with a bundle, and copies of its database before and after an undisturbed run.
struct Story {
    room: Room,
    copies: [Db; 2],
    before: String,
    after: String,
    took: Duration,
}

impl Story {
    fn new(case: Case) -> Self {
        let room = Bulk::room(case, case.either(1200, 200));
        room.bundle("B");
        let before = room.dump();
        let first = room.db.copy(&room.path("before.db"));
        let began = Instant::now();
        room.run("apply", &apply_args(&room.url())).code(0);
        let took = began.elapsed();
        let second = room.db.copy(&room.path("after.db"));
        let after = numberless(&room.db);
        Self {
            room,
            copies: [first, second],
            before,
            after,
            took,
        }
    }

    /// Sets the database back to what it was before (0) or after (1) the run.
    fn reset(&mut self, copy: usize) {
        // No journal of a killed process may be left beside a file.
        for journal in ["t.db-journal", "t.db-wal", "t.db-shm"] {
            fs::remove_file(self.room.path(journal)).ok();
        }
        let db = self.copies[copy].copy(&self.room.path("t.db"));
        std::mem::replace(&mut self.room.db, db).remove();
    }

    fn is_before(&self, why: &str) {
        same(&self.room.dump(), &self.before, why);
    }

    fn is_after(&self, why: &str) {
        same(&numberless(&self.room.db), &self.after, why);
    }

    fn status(&self) -> String {
        if !self.room.db.has_ledger() {
            return String::new();
        }
        self.room
            .ask("SELECT coalesce(max(status), '') FROM switchback_runs")
    }

    /// Starts a program, kills it after a random part of `took`, and returns the run's status.
    fn kill(&self, name: &str, args: &[&str], took: Duration, seed: &mut Seed) -> String {
        let mut child = spawn(&mut command(name, &self.room.path(""), args));
        let micros = u64::try_from(took.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(seed.below(micros)));
        child.kill().unwrap();
        let _ = finish(child, None);
        self.room.db.settle();
        self.status()
    }
}

/// What the database holds, without the numbers that PostgreSQL gave to visits: what was undone has used some up.
fn numberless(db: &Db) -> String {
    const VISIT: &str = "INSERT INTO public.visit VALUES (";
    let mut lines: Vec<String> = db
        .dump()
        .lines()
        .map(|line| {
            match line
                .strip_prefix(VISIT)
                .and_then(|row| row.split_once(", "))
            {
                Some((_, rest)) => format!("{VISIT}_, {rest}"),
                None => line.to_owned(),
            }
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

fn apply_killed_at_random_moments_ends_as_an_undisturbed_run_and_can_be_taken_back(case: Case) {
    let mut story = Story::new(case);
    let mut seed = Seed::from_env();
    let (mut midway, enough) = (0, kills(case) / 4);
    for kill in 0.. {
        // On a busy machine the first kills may all come too early or too late.
        if kill >= kills(case) && midway >= enough || kill >= 10 * kills(case) {
            break;
        }
        story.reset(0);
        let status = story.kill(
            "apply",
            &apply_args(&story.room.url()),
            story.took,
            &mut seed,
        );
        let what = format!("kill {kill}: the run was {status:?}");
        match status.as_str() {
            "" => story.is_before(&what),
            "in-progress" => {
                midway += 1;
                if kill % 2 == 0 {
                    story.room.on("apply", &["B", "--resume"]).code(0);
                } else {
                    // Taken back from where it stopped, then applied anew.
                    story.room.on("rollback", &[RUN]).code(0);
                    story.is_before(&what);
                    continue;
                }
            }
            "completed" => {}
            other => panic!("kill {kill}: the run was {other}"),
        }
        if status.is_empty() {
            story
                .room
                .run("apply", &apply_args(&story.room.url()))
                .code(0);
        }
        story.is_after(&what);
        story.room.on("verify", &[RUN]).code(0);
        story.room.on("rollback", &[RUN]).code(0);
        story.is_before(&what);
    }
    assert!(
        midway >= enough,
        "only {midway} kills met the run under way"
    );
}

fn rollback_killed_at_random_moments_resumes_to_the_state_before(case: Case) {
    let mut story = Story::new(case);
    let began = Instant::now();
    story.room.on("rollback", &[RUN]).code(0);
    let took = began.elapsed();
    story.is_before("undisturbed");
    let mut seed = Seed::from_env();
    let mut midway = 0;
    for kill in 0.. {
        // On a busy machine the first kills may all come too early or too late.
        if kill >= kills(case) && midway > 0 || kill >= 10 * kills(case) {
            break;
        }
        story.reset(1);
        let url = story.room.url();
        let status = story.kill("rollback", &[RUN, "--to", &url], took, &mut seed);
        let what = format!("kill {kill}: the run was {status:?}");
        match status.as_str() {
            "completed" => {
                story.is_after(&what);
                story.room.on("rollback", &[RUN]).code(0);
            }
            "rolling-back" => {
                midway += 1;
                story.room.on("rollback", &[RUN, "--resume"]).code(0);
            }
            "rolled-back" => {}
            other => panic!("kill {kill}: the run was {other}"),
        }
        story.is_before(&what);
        assert_eq!(story.status(), "rolled-back");
    }
    assert!(midway >= 1, "no kill met the rollback under way");
}

fn a_run_that_was_killed_can_be_killed_again_while_it_resumes(case: Case) {
    let mut story = Story::new(case);
    let mut seed = Seed::from_env();
    story.reset(0);
    let url = story.room.url();
    let mut status = story.kill("apply", &apply_args(&url), story.took, &mut seed);
    for _ in 0..8 {
        status = match status.as_str() {
            "in-progress" => story.kill(
                "apply",
                &["B", "--to", &url, "--resume"],
                story.took / 2,
                &mut seed,
            ),
            "" => story.kill("apply", &apply_args(&url), story.took, &mut seed),
            _ => break,
        };
    }
    match status.as_str() {
        "in-progress" => {
            story.room.on("apply", &["B", "--resume"]).code(0);
        }
        "" => {
            story.room.run("apply", &apply_args(&url)).code(0);
        }
        _ => {}
    }
    story.is_after("many kills");
}

fn sigterm_finishes_the_batch_in_hand_and_says_how_to_go_on(case: Case) {
    let mut story = Story::new(case);
    story.reset(0);
    let url = story.room.url();
    let child = spawn(&mut command(
        "apply",
        &story.room.path(""),
        apply_args(&url),
    ));
    while story.status() != "in-progress" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = std::process::Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", child.id())])
        .status();
    assert!(kill.unwrap().success());
    let done = finish(child, None).code(143);
    done.says(&["hint: apply --resume"]);
    story.room.on("apply", &["B", "--resume"]).code(0);
    story.is_after("resumed");
}
