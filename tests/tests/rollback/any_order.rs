//! Runs of any kind, one after the other.

use tests::Case;

use super::club;

tests::both!(runs_of_any_kind_one_after_the_other_come_back_one_after_the_other);

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn record(&mut self) -> String {
        let (key, other, team) = (self.roll(8), self.roll(8), self.roll(4));
        let email = self.roll(12);
        match self.roll(8) {
            0 => format!(
                r#"{{"entity":"team","key":"k{team}","fields":{{"name":"n{email}"}},"refs":{{"captain":{{"entity":"member","key":"k{key}"}}}}}}"#
            ),
            1 => format!(
                r#"{{"entity":"payment","key":"k{key}","fields":{{"order":"{email}"}},"refs":{{"member":{{"entity":"member","key":"k{other}"}}}}}}"#
            ),
            2 => format!(
                r#"{{"entity":"old_payment","key":"k{key}","op":"delete","target":{other}}}"#
            ),
            3 => format!(
                r#"{{"entity":"old_member","key":"k{key}","op":"delete","target":"m{other}"}}"#
            ),
            4 => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"e{email}","phone":null}},"refs":{{"team":{{"entity":"team","key":"k{team}"}}}}}}"#
            ),
            5 => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"ann@example.org","balance":{email}}}}}"#
            ),
            _ => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"e{email}","balance":{email}.5}},"refs":{{"sponsor":{{"entity":"member","key":"k{other}"}}}}}}"#
            ),
        }
    }
}

fn runs_of_any_kind_one_after_the_other_come_back_one_after_the_other(case: Case) {
    let mut changes = 0;
    for seed in 0..5 {
        let mut dice = Dice(seed);
        let club = club(case);
        let mut runs = Vec::new();
        for _ in 0..3 {
            let before = club.dump();
            let lines: Vec<String> = (0..30).map(|_| dice.record()).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let bundle = club.seal(&lines);
            let args = [
                &bundle,
                "--batch-size=1",
                "--continue-on-error",
                "--max-failed-percent=100",
            ];
            let done = club.on("apply", &args);
            assert!([0, 3].contains(&done.code), "seed {seed}: {done:?}");
            runs.push((done.id(), before, lines.join("\n")));
        }
        let written = club.ask("SELECT count(*) FROM switchback_changes");
        changes += written.parse::<u32>().unwrap();
        while let Some((run, before, lines)) = runs.pop() {
            let done = club.on("rollback", &[&run, "--batch-size", "7"]);
            assert_eq!(done.code, 0, "seed {seed}: {done:?}\n{lines}");
            assert_eq!(club.dump(), before, "seed {seed}\n{lines}");
        }
    }
    assert!(
        changes > 100,
        "too few of the records can be applied: {changes}"
    );
}
