//! The disk: full, read-only, not a database at all, or cut from its power.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::lab::{BATCHES, Held, Lab, Place, each, memory, run};
use tests::{Target, command, db, program};

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A file system that is mounted as long as this lives.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, args: &[&str]) -> Self {
        fs::create_dir_all(&at).unwrap();
        let done = as_root("mount").args(args).arg(&at).output();
        let said = match &done {
            Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(
            done.is_ok_and(|done| done.status.success()),
            "mount {args:?}: {said}\nthis test mounts a small file system: run it as root, or where sudo asks for no \
             password (`sudo -v` first)"
        );
        Self(at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        as_root("umount").arg(&self.0).status().ok();
    }
}

/// A command that runs as root: by sudo, without asking, where we are not.
pub fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}

/// Real ENOSPC, with 4 KiB more room each time.
#[test]
fn a_full_disk_undoes_the_batch_and_names_the_volume() {
    const SIZE: u64 = 4 << 20;
    let lab = Lab::on(Target::Sqlite);
    let room = memory();
    let mount = Mount::new(
        room.path().join("small"),
        &["-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs"],
    );
    let used = fs::metadata(lab.path("before.db")).unwrap().len();
    let full = std::cell::Cell::new(0);
    let points = (1..=60).map(|pages: u64| pages.to_string());
    each(
        "disk::a_full_disk_undoes_the_batch_and_names_the_volume",
        points,
        |pages| {
            for left in fs::read_dir(&mount.0).unwrap() {
                fs::remove_dir_all(left.unwrap().path()).unwrap();
            }
            let place = Place::sqlite(mount.0.join(pages));
            fs::create_dir(&place.folder).unwrap();
            fs::copy(lab.path("before.db"), place.file()).unwrap();
            let ballast = place.path("ballast");
            // A folder takes none of a tmpfs' blocks.
            let left = pages.parse::<u64>().unwrap() * 4096;
            let room = SIZE - used.next_multiple_of(4096) - left;
            let bytes = vec![b'x'; usize::try_from(room).unwrap()];
            // What was just removed may take the system a moment to free.
            let filled = (0..100).any(|_| {
                let filled = fs::write(&ballast, &bytes).is_ok();
                std::thread::sleep(Duration::from_millis(if filled { 0 } else { 20 }));
                filled
            });
            assert!(filled, "the tmpfs does not take {room} bytes");
            let done = run(&mut lab.apply(&place), None);
            fs::remove_file(&ballast).unwrap();
            if done.code != 0 {
                assert!(
                    matches!(done.code, 3 | 5),
                    "exit {}: {}",
                    done.code,
                    done.err
                );
                let _ = done.says(&["the volume of", "full", "t.db"]);
                full.set(full.get() + 1);
            }
            lab.judge(&place);
            lab.mend(&place);
            place.remove();
        },
    );
    assert!(
        full.get() > 10 || std::env::var("SWITCHBACK_POINT").is_ok(),
        "{} were full",
        full.get()
    );
}

/// Runs a plain program as a user who may not write; root would be let through.
fn as_nobody(folder: &Path, args: &[&str]) -> Command {
    let copy = folder.join("apply");
    // By another process: what a test beside this one starts meanwhile would keep a file of ours open,
    // and one that is open for writing can't be run.
    let copied = Command::new("cp").arg(program("apply")).arg(&copy).status();
    assert!(copied.unwrap().success());
    let mut unprivileged = if is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        setpriv
    } else {
        Command::new(copy)
    };
    unprivileged.args(args).current_dir(folder);
    unprivileged
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    unprivileged
}

/// The database or its folder can't be written: refused before the ledger is made.
fn read_only(file: u32, folder: u32) {
    let lab = Lab::on(Target::Sqlite);
    let place = lab.place("bound");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(lab.path("B"))
        .arg(&place.folder)
        .status()
        .unwrap();
    assert!(copied.success());
    for open in [lab.root(), &place.folder] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut apply = as_nobody(
        &place.folder,
        &["B", "--to", &place.url, "--checkpoint", "/dev/null"],
    );
    if is_root() {
        let owned = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(&place.folder)
            .status()
            .unwrap();
        assert!(owned.success());
    }
    fs::set_permissions(place.file(), fs::Permissions::from_mode(file)).unwrap();
    fs::set_permissions(&place.folder, fs::Permissions::from_mode(folder)).unwrap();
    let done = run(&mut apply, None);
    fs::set_permissions(&place.folder, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = done.code(5).says(&["t.db"]);
    assert!(!place.run_is_there());
    assert_eq!(place.db.dump(), lab.before);
}

#[test]
fn a_read_only_database_is_refused_before_the_ledger() {
    read_only(0o444, 0o755);
}

#[test]
fn a_read_only_folder_is_refused_before_the_ledger() {
    read_only(0o644, 0o555);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let lab = Lab::on(Target::Sqlite);
    let text = b"this is no database, and must stay as it is\n".repeat(100);
    for (name, bytes) in [
        ("text", &text[..]),
        ("torn", &fs::read(lab.path("before.db")).unwrap()[..5000]),
    ] {
        let place = lab.place(name);
        fs::write(place.file(), bytes).unwrap();
        let done = run(&mut lab.apply(&place), None);
        assert!(
            matches!(done.code, 4 | 5),
            "{name}: exit {}: {}",
            done.code,
            done.err
        );
        assert_eq!(fs::read(place.file()).unwrap(), bytes, "{name}");
    }
    let place = lab.place("missing");
    fs::remove_file(place.file()).unwrap();
    let _ = run(&mut lab.apply(&place), None).code(5).says(&["t.db"]);
    assert!(!place.file().exists(), "a database was made");
}

#[test]
fn a_ledger_of_another_version_is_refused() {
    let lab = Lab::on(Target::Sqlite);
    for version in ["0", "2", "NULL"] {
        let place = lab.applied(&format!("version{version}"));
        db::run(
            place.file(),
            &format!("DELETE FROM switchback_meta; INSERT INTO switchback_meta VALUES ({version})"),
        );
        let before = place.db.dump();
        let _ = run(&mut lab.apply(&place), None).code(4).says(&["ledger"]);
        let _ = run(&mut Lab::rollback(&place), None)
            .code(4)
            .says(&["ledger"]);
        assert_eq!(place.db.dump(), before);
    }
}

/// So few files may be open that nothing can work: an error, and nothing half done.
#[test]
fn too_few_file_descriptors_are_a_clean_error() {
    let lab = Lab::on(Target::Sqlite);
    for limit in 3..20 {
        let place = lab.place(&format!("limit{limit}"));
        let apply = lab.apply(&place);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
        shell
            .arg(apply.get_program())
            .args(apply.get_args())
            .current_dir(&place.folder);
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let done = run(&mut shell, None);
        // 127: not even its libraries can be opened.
        assert!(
            matches!(done.code, 0 | 3 | 4 | 5 | 127),
            "{limit}: exit {}: {}",
            done.code,
            done.err
        );
        lab.judge(&place);
        lab.mend(&place);
    }
}

/// The long form: what is remembered is small, so much goes through little memory.
#[test]
#[ignore = "the long form: just faults"]
fn a_memory_cap_is_enough_for_many_records() {
    let room = tests::Bulk::room(Target::Sqlite, 20_000);
    let _ = room.bundle("B");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -v 200000; exec \"$0\" \"$@\""])
        .arg(program("apply"));
    shell
        .args(["B", "--to", &room.url()])
        .current_dir(room.path(""));
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let _ = run(&mut shell, None).code(0);
}

/// The long form: the disk as a power cut leaves it, after each acknowledged batch and between.
/// What was synced is in the backing file; what was not is not.
#[test]
#[ignore = "the long form: just faults"]
fn a_power_cut_loses_no_acknowledged_batch() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        power_cuts(mode);
    }
}

/// Makes `disk.img`, an empty ext4 file system.
fn format(folder: &Path) {
    let made = Command::new("sh")
        .args([
            "-c",
            "truncate -s 24M disk.img && mkfs.ext4 -q -E root_owner=$(id -u):$(id -g) disk.img",
        ])
        .current_dir(folder)
        .status();
    assert!(
        made.unwrap().success(),
        "mkfs.ext4 is missing: apt-get install -y e2fsprogs"
    );
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
