//! Show 4: `kill -9` at any moment; the next command ends where an undisturbed run would have ended.

use std::fs;
use std::time::{Duration, Instant};

use tests::db::same;
use tests::{Bulk, Room, Seed, Target, command, finish, spawn};

const RUN: &str = "01900000-0000-7000-8000-000000000004";
const KILLS: u64 = 20;

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
    before: String,
    after: String,
    took: Duration,
}

impl Story {
    fn new() -> Self {
        let room = Bulk::room(Target::Sqlite, 1200);
        room.bundle("B");
        let before = room.dump();
        fs::copy(room.path("t.db"), room.path("before.db")).unwrap();
        let began = Instant::now();
        room.run("apply", &apply_args(&room.url())).code(0);
        let took = began.elapsed();
        fs::copy(room.path("t.db"), room.path("after.db")).unwrap();
        let after = room.dump();
        Self {
            room,
            before,
            after,
            took,
        }
    }

    /// Sets the database back to a copy: no journal of a killed process may be left beside it.
    fn reset(&self, copy: &str) {
        for journal in ["t.db-journal", "t.db-wal", "t.db-shm"] {
            fs::remove_file(self.room.path(journal)).ok();
        }
        fs::copy(self.room.path(copy), self.room.path("t.db")).unwrap();
    }

    fn status(&self) -> String {
        let ledger = self
            .room
            .ask("SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'");
        if ledger == "0" {
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
        self.status()
    }
}

#[test]
fn show_4_apply_killed_at_twenty_moments_ends_as_an_undisturbed_run_and_can_be_taken_back() {
    let story = Story::new();
    let room = &story.room;
    let mut seed = Seed::from_env();
    let mut midway = 0;
    for kill in 0..KILLS {
        story.reset("before.db");
        let status = story.kill("apply", &apply_args(&room.url()), story.took, &mut seed);
        let what = format!("kill {kill}: the run was {status:?}");
        match status.as_str() {
            "" => same(&room.dump(), &story.before, &what),
            "in-progress" => {
                midway += 1;
                if kill % 2 == 0 {
                    room.on("apply", &["B", "--resume"]).code(0);
                } else {
                    // Taken back from where it stopped, then applied anew.
                    room.on("rollback", &[RUN]).code(0);
                    same(&room.dump(), &story.before, &what);
                    continue;
                }
            }
            "completed" => {}
            other => panic!("kill {kill}: the run was {other}"),
        }
        if status.is_empty() {
            room.run("apply", &apply_args(&room.url())).code(0);
        }
        same(&room.dump(), &story.after, &what);
        room.on("verify", &[RUN]).code(0);
        room.on("rollback", &[RUN]).code(0);
        same(&room.dump(), &story.before, &what);
    }
    assert!(
        midway >= KILLS / 4,
        "only {midway} of {KILLS} kills met the run under way"
    );
}

#[test]
fn show_4_rollback_killed_at_twenty_moments_resumes_to_the_state_before() {
    let story = Story::new();
    let room = &story.room;
    let url = room.url();
    let began = Instant::now();
    room.on("rollback", &[RUN]).code(0);
    let took = began.elapsed();
    same(&room.dump(), &story.before, "undisturbed");
    let mut seed = Seed::from_env();
    let mut midway = 0;
    for kill in 0..KILLS {
        story.reset("after.db");
        let status = story.kill("rollback", &[RUN, "--to", &url], took, &mut seed);
        let what = format!("kill {kill}: the run was {status:?}");
        match status.as_str() {
            "completed" => {
                same(&room.dump(), &story.after, &what);
                room.on("rollback", &[RUN]).code(0);
            }
            "rolling-back" => {
                midway += 1;
                room.on("rollback", &[RUN, "--resume"]).code(0);
            }
            "rolled-back" => {}
            other => panic!("kill {kill}: the run was {other}"),
        }
        same(&room.dump(), &story.before, &what);
        assert_eq!(story.status(), "rolled-back");
    }
    assert!(midway >= 1, "no kill met the rollback under way");
}

#[test]
fn show_4_a_run_that_was_killed_can_be_killed_again_while_it_resumes() {
    let story = Story::new();
    let room = &story.room;
    let mut seed = Seed::from_env();
    story.reset("before.db");
    let url = room.url();
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
            room.on("apply", &["B", "--resume"]).code(0);
        }
        "" => {
            room.run("apply", &apply_args(&url)).code(0);
        }
        _ => {}
    }
    same(&room.dump(), &story.after, "many kills");
}

#[test]
fn show_4_sigterm_finishes_the_batch_in_hand_and_says_how_to_go_on() {
    let story = Story::new();
    let room = &story.room;
    story.reset("before.db");
    let url = room.url();
    let child = spawn(&mut command("apply", &room.path(""), apply_args(&url)));
    while story.status() != "in-progress" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = std::process::Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", child.id())])
        .status();
    assert!(kill.unwrap().success());
    let done = finish(child, None).code(143);
    done.says(&["hint: apply --resume"]);
    room.on("apply", &["B", "--resume"]).code(0);
    same(&room.dump(), &story.after, "resumed");
}
