//! Others at the same rows: what they change while a program is at work is never lost.

use std::time::Duration;

use tests::lab::{Held, Lab, each, names, run, spread};
use tests::{Db, Target};

/// Changes the row that the first batch updates, waiting for whoever holds it.
fn rename(db: &Db) {
    let mut session = db.postgres().session();
    let rename =
        "UPDATE person SET name = 'Theirs', note = 'theirs' WHERE email = 'p2@example.org'";
    session.batch_execute(rename).unwrap();
}

#[test]
fn a_row_that_somebody_changes_at_any_step_of_apply_is_not_lost() {
    let lab = Lab::on(Target::Postgres);
    let place = lab.place("count");
    let steps = names(&mut lab.apply(&place), &place);
    let points = (1..=steps.len()).map(|step| step.to_string()).collect();
    let test = "others::a_row_that_somebody_changes_at_any_step_of_apply_is_not_lost";
    each(test, spread(points, 12), |point| {
        let place = lab.place(point);
        let gate = place.path("gate");
        let held = Held::at(&mut lab.apply(&place), point.parse().unwrap(), &gate);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| rename(&place.db));
            // Either it is done by now, or it waits for the batch.
            std::thread::sleep(Duration::from_millis(60));
            let _ = held.go().code(0);
            other.join().unwrap();
        });
        let person = "SELECT name, note FROM person WHERE email = 'p2@example.org'";
        let now = place.db.ask(person);
        let back = run(&mut Lab::rollback(&place), None);
        if now == "Two|theirs" {
            // It came first: apply wrote over what it had read.
            assert_eq!(back.code, 0, "{}", back.err);
        } else {
            // It came last: rollback does not write over it unasked.
            assert_eq!(now, "Theirs|theirs");
            let _ = back.code(1).says(&["Theirs"]);
            let _ = run(Lab::rollback(&place).arg("--skip-conflicts"), None);
        }
        assert_eq!(place.db.ask(person), "Theirs|theirs");
        place.remove();
    });
}

/// A session holds a row longer than we wait, or than a statement may take.
#[test]
fn a_row_that_somebody_holds_makes_apply_and_rollback_end_as_busy() {
    let lab = Lab::on(Target::Postgres);
    for wait in ["lock_timeout=300ms", "statement_timeout=300ms"] {
        let mut place = lab.place(&wait.replace('=', "-"));
        place.url = format!("{}?{wait}", place.url);
        let mut session = place.db.postgres().session();
        let mut other = session.transaction().unwrap();
        let hold = "SELECT * FROM person WHERE email = 'p2@example.org' FOR UPDATE";
        other.batch_execute(hold).unwrap();
        let _ = run(&mut lab.apply(&place), None)
            .code(3)
            .says(&["busy", "--resume"]);
        other.rollback().unwrap();
        assert_eq!(lab.judge(&place), 0);
        let _ = run(lab.apply(&place).arg("--resume"), None).code(0);

        let mut other = session.transaction().unwrap();
        other.batch_execute(hold).unwrap();
        let done = run(&mut Lab::rollback(&place), None);
        assert!(matches!(done.code, 3 | 5), "{done:?}");
        let _ = done.says(&["busy"]);
        other.rollback().unwrap();
        lab.judge_undone(&place);
        lab.take_back(&place);
    }
}
