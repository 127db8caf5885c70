//! The long form: a disk that is cut from its power.

use std::fs;
use std::process::{Command, Stdio};

use tests::lab::{BATCHES, Held, Lab, Place, each, run};
use tests::{Target, command, db};

use crate::mount::{Mount, format};

/// The disk as a power cut leaves it, after each acknowledged batch and between.
/// What was synced is in the backing file; what was not is not.
#[test]
#[ignore = "the long form: just faults"]
fn a_power_cut_loses_no_acknowledged_batch() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        power_cuts(mode);
    }
}

fn power_cuts(mode: &str) {
    let room = tempfile::tempdir().unwrap();
    let lab = Lab::on(Target::Sqlite);
    db::run(
        &lab.path("before.db"),
        &format!("PRAGMA journal_mode = {mode}"),
    );
    let file = |name: &str| room.path().join(name);
    format(room.path());
    let disk = file("disk.img").display().to_string();
    let steps = crate::steps::steps(&lab).len();
    let test = "disk::a_power_cut_loses_no_acknowledged_batch";
    each(
        test,
        (1..=steps).step_by(3).map(|step| format!("{mode}:{step}")),
        |point| {
            let mount = Mount::new(file("disk"), &["-o", "loop,commit=900", &disk]);
            let place = Place::sqlite(mount.0.join("place"));
            fs::create_dir(&place.folder).unwrap();
            fs::copy(lab.path("before.db"), place.file()).unwrap();
            assert!(
                Command::new("sync")
                    .arg("-f")
                    .arg(&mount.0)
                    .status()
                    .unwrap()
                    .success()
            );
            let step: u64 = point.split_once(':').unwrap().1.parse().unwrap();
            let held = Held::at(&mut lab.apply(&place), step, &file("gate"));
            // What was said to stand by now, and what the disk has of it.
            let said = place.acknowledged();
            let copied = Command::new("cp")
                .args(["--sparse=always", &disk])
                .arg(file("cut.img"))
                .status();
            assert!(copied.unwrap().success());
            held.signal("KILL");
            let _ = held.go();
            fs::remove_file(file("gate")).unwrap();
            fs::remove_file(file("gate.here")).unwrap();
            fs::remove_dir_all(&place.folder).unwrap();
            drop(mount);
            let cut = file("cut.img").display().to_string();
            let mount = Mount::new(file("cut"), &["-o", "loop", &cut]);
            let place = Place::sqlite(mount.0.join("place"));
            let stand = lab.judge(&place);
            assert!(
                said <= stand && stand <= BATCHES,
                "batch {said} was acknowledged, {stand} stand"
            );
            lab.mend(&place);
            place.remove();
        },
    );
}

/// The bundle that was said to stand is there after a power cut, whole.
#[test]
#[ignore = "the long form: just faults"]
fn a_power_cut_after_success_leaves_the_bundle() {
    let room = tempfile::tempdir().unwrap();
    let lab = Lab::on(Target::Sqlite);
    let file = |name: &str| room.path().join(name);
    format(room.path());
    let disk = file("disk.img").display().to_string();
    let mount = Mount::new(file("disk"), &["-o", "loop,commit=900", &disk]);
    let bundle = mount.0.join("B");
    let mut make = command("bundle", lab.root(), ["-o", bundle.to_str().unwrap()]);
    let id = run(make.stdin(Stdio::piped()), Some(lab.stream()))
        .code(0)
        .id();
    let copied = Command::new("cp")
        .args(["--sparse=always", &disk])
        .arg(file("cut.img"))
        .status();
    assert!(copied.unwrap().success());
    drop(mount);
    let cut = file("cut.img").display().to_string();
    let mount = Mount::new(file("cut"), &["-o", "loop", &cut]);
    let bundle = mount.0.join("B");
    assert_eq!(
        run(
            &mut command("bundle", lab.root(), ["check", bundle.to_str().unwrap()]),
            None
        )
        .code(0)
        .id(),
        id
    );
}
