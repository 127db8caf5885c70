//! A round: load, apply, apply again, edit, a second export, roll back, and what holds after each step.

use std::process::Stdio;

use serde_json::Value;
use tests::{Done, Room, command, finish, spawn};

use crate::dice::Dice;
use crate::model::Undo;
use crate::place::{failing, last, named, room};
use crate::state::State;
use crate::world::World;
use crate::{edits, expect, shell, toml};

/// What rounds did, summed up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub completed: usize,
    pub failed: usize,
    pub second: usize,
    pub edited: usize,
    pub kept: usize,
}

/// A round on its way.
pub struct Round<'a> {
    pub world: &'a World,
    room: Room,
    now: State,
    said: String,
}

/// Compares two figures or states.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// A run: its ID, and the states around it.
struct Ran {
    id: String,
    before: State,
    left: State,
    completed: bool,
}

/// Plays a round to its end.
pub fn play(world: &World, dice: &mut Dice) -> Result<Tally, String> {
    let room = room(world.target);
    let mut script = String::new();
    for statement in &world.setup {
        script.push_str(statement);
        script.push_str(";\n");
    }
    room.write("migration.toml", toml::written(&world.plan));
    room.write("setup.sql", &script);
    let _ = shell::query(&room.db, &script);
    let now = State::of(&room.db);
    let mut round = Round {
        world,
        room,
        now,
        said: String::new(),
    };
    let played = round.play(dice);
    if played.is_err() && std::env::var_os("KEEP").is_some() {
        round.keep();
    }
    let said = round.said;
    played.map_err(|why| format!("{why}\n{said}"))
}

impl Round<'_> {
    fn play(&mut self, dice: &mut Dice) -> Result<Tally, String> {
        let mut tally = Tally::default();
        let first = self.ran(0, true, dice)?;
        tally.completed += usize::from(first.completed);
        tally.failed += usize::from(!first.completed);
        let mut edited = dice.chance(50);
        if edited {
            self.edit(dice);
            tally.edited += 1;
        }
        if first.completed && dice.chance(40) {
            let second = self.ran(1, !edited, dice)?;
            tally.second += 1;
            tally.completed += usize::from(second.completed);
            let later = dice.chance(30);
            if later {
                self.edit(dice);
            }
            edited |= later;
            let kept = self.back(&second, later, dice)?;
            tally.kept += kept;
            if kept > 0 {
                return Ok(tally);
            }
        }
        tally.kept += self.back(&first, edited, dice)?;
        Ok(tally)
    }

    fn say(&mut self, text: &str) {
        self.said.push_str(text);
    }

    fn on(&mut self, program: &str, args: &[&str]) -> Done {
        // What was applied to a schema is found from another search path.
        let query = match program {
            "apply" => &*self.world.options.query,
            _ => "",
        };
        let url = format!("{}{query}", self.room.url());
        let mut args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
        // Hooks run where the plan is the operator's own copy.
        if program != "verify" && self.world.plan.contains_key("hook") {
            args.extend(["--plan", "migration.toml"]);
        }
        let mut command = command(program, &self.room.path(""), &args);
        crate::extras::environment(&mut command);
        let done = finish(spawn(&mut command), None);
        self.say(&format!(
            "$ {program} {} -> {}\n{}",
            args.join(" "),
            done.code,
            done.err
        ));
        done
    }

    /// Makes the bundle of an export.
    fn bundled(&mut self, export: usize) -> Result<String, String> {
        for (name, bytes) in &self.world.sources[export] {
            self.room.write(name, bytes);
        }
        let name = format!("B{export}");
        let done = self.room.pipeline(&name);
        for (program, done) in ["parse", "validate", "bundle"].iter().zip(&done) {
            self.say(&format!("$ {program} -> {}\n{}", done.code, done.err));
        }
        ensure(done.iter().all(|done| done.code == 0), || {
            "no bundle".into()
        })?;
        Ok(name)
    }

    fn look(&mut self) -> Result<(), String> {
        let now = State::of(&self.room.db);
        ensure(now == self.now, || {
            format!("it wrote:\n{}", self.now.differences(&now))
        })
    }

    /// Lines that hooks wrote.
    fn heard(&self) -> usize {
        let heard = self.room.path("heard");
        std::fs::read_to_string(heard).map_or(0, |text| text.lines().count())
    }

    /// Applies an export: a dry run says what happens, and again it writes nothing.
    fn ran(&mut self, export: usize, clean: bool, dice: &mut Dice) -> Result<Ran, String> {
        let bundle = self.bundled(export)?;
        let options = self.world.options.apply.clone();
        let apply: Vec<&str> = [&*bundle, "--json"]
            .into_iter()
            .chain(options.iter().map(String::as_str))
            .collect();
        let before = self.now.clone();
        let told = dice.chance(70).then(|| self.told(&apply)).transpose()?;
        let heard = self.heard();
        let live = self.on("apply", &apply);
        let completed = live.code == 0;
        let may_fail = !clean || self.world.options.may_fail;
        ensure(completed || (live.code == 3 && may_fail), || {
            format!("the run ended with {}", live.code)
        })?;
        ensure(
            !completed || !self.world.options.hears || self.heard() > heard,
            || "no hook heard of the run".into(),
        )?;
        let did = last(&live)?;
        if let Some((code, told)) = told {
            ensure(code == i32::from(!completed), || {
                format!("the dry run ended with {code}, the run with {}", live.code)
            })?;
            for figure in ["counts", "entities", "failures", "added"] {
                ensure(told[figure] == did[figure], || {
                    let (told, did) = (&told[figure], &did[figure]);
                    format!("{figure}: the dry run said {told}, the run did {did}")
                })?;
            }
        }
        self.now = State::of(&self.room.db);
        let left = self.now.clone();
        let id = did["run"].as_str().ok_or("no run")?.to_owned();
        if completed && clean {
            expect::check(self.world, export, &before, &left)?;
        }
        if completed {
            let verified = self.on("verify", &[&id, "--bundle", &bundle]);
            // Whoever gives a row of theirs the code of a record's makes two of it.
            let shared = !clean
                && verified.code == 1
                && failing(&verified.out) == ["duplicates"]
                && edits::shares_code(self.world, &left);
            ensure(verified.code == 0 || shared, || {
                format!("verify fails after apply\n{}", verified.out)
            })?;
        }
        if completed && dice.chance(60) {
            self.again(&apply)?;
        }
        Ok(Ran {
            id,
            before,
            left,
            completed,
        })
    }

    /// A dry run writes nothing and tells nobody; returns how it ended, and what it said.
    fn told(&mut self, apply: &[&str]) -> Result<(i32, Value), String> {
        let heard = self.heard();
        let dry = self.on("apply", &[apply, &["--dry-run"]].concat());
        self.look()?;
        ensure(self.heard() == heard, || "a hook heard of a dry run".into())?;
        ensure(matches!(dry.code, 0 | 1), || {
            format!("the dry run ended with {}", dry.code)
        })?;
        Ok((dry.code, last(&dry)?))
    }

    /// The same bundle again writes nothing.
    fn again(&mut self, apply: &[&str]) -> Result<(), String> {
        let again = self.on("apply", apply);
        let counts = last(&again)?["counts"].clone();
        for wrote in [
            "created", "updated", "deleted", "linked", "remapped", "failed",
        ] {
            ensure(counts[wrote].as_u64().unwrap_or(0) == 0, || {
                format!("applied again: {counts}")
            })?;
        }
        self.look()
    }

    fn edit(&mut self, dice: &mut Dice) {
        let edits = edits::draw(self.world, &self.now, dice);
        self.say(&format!("edits:\n  {}\n", edits.join("\n  ")));
        shell::try_each(&self.room.db, &edits);
        self.now = State::of(&self.room.db);
    }

    /// Takes a run back, and returns how many rows stay as people left them.
    fn back(&mut self, run: &Ran, edited: bool, dice: &mut Dice) -> Result<usize, String> {
        let options = self.world.options.rollback.clone();
        let rollback: Vec<&str> = [&*run.id, "--json"]
            .into_iter()
            .chain(options.iter().map(String::as_str))
            .collect();
        let mut skip: &[&str] = &[];
        let force = edited && dice.chance(40);
        if force {
            skip = dice.one_of([&["--force"][..], &["--force", "--skip-conflicts"]]);
        }
        if edited || dice.chance(30) {
            let check = self.on("rollback", &[&rollback[..], &["--check"]].concat());
            ensure(check.code == 0 || (edited && check.code == 1), || {
                format!("rollback --check ended with {}", check.code)
            })?;
            self.look()?;
            if check.code == 1 && !force {
                skip = &["--skip-conflicts"];
            }
        }
        let done = self.on("rollback", &[&rollback[..], skip].concat());
        // Who forces it asked to leave nothing.
        let unasked = done.code == 1 && skip == ["--force"];
        // --skip-conflicts asks to leave rows, and to reverse something.
        let nothing = done.code == 1 && !skip.is_empty() && done.err.contains("Rolled back 0 ");
        ensure(done.code == 0 || unasked || nothing, || {
            format!("rollback ended with {}", done.code)
        })?;
        let people = std::mem::take(&mut self.now);
        self.now = State::of(&self.room.db);
        let summary = last(&done)?;
        ensure(summary["proved"] == true, || {
            format!("not proved: {summary}")
        })?;
        let kept = if people == run.left {
            expect::came_back(self.world, &run.before, &run.left, &self.now)?;
            0
        } else {
            let undo = Undo {
                rules: &self.world.rules,
                before: &run.before,
                left: &run.left,
                edited: &people,
                after: &self.now,
                named: &named(&done)?,
                force,
            };
            undo.check()?
        };
        let asked = !skip.is_empty();
        ensure(force || (kept > 0) == asked, || {
            format!("asked to leave rows: {asked}, and {kept} stay")
        })?;
        ensure(skip != ["--force"] || unasked == (kept > 0), || {
            format!("{kept} rows stay, and it ended with {}", done.code)
        })?;
        let says_kept = summary["kept"].as_u64().map(|said| said > 0);
        ensure(says_kept == Some(kept > 0), || {
            format!("{kept} rows stay: {summary}")
        })?;
        let verified = self.on("verify", &[&run.id]);
        ensure(verified.code == 0 || kept > 0, || {
            format!("verify fails after rollback\n{}", verified.out)
        })?;
        Ok(kept)
    }

    /// Copies the folder of a failed round to where it can be looked at.
    fn keep(&mut self) {
        let folder = std::env::temp_dir().join("universe-round");
        let mut copy = std::process::Command::new("cp");
        let _ = copy
            .arg("-rT")
            .arg(self.room.path(""))
            .arg(&folder)
            .stdout(Stdio::null())
            .status();
        self.say(&format!("kept in {}\n", folder.display()));
    }
}
