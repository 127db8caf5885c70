//! The disk: full, read-only, not a database at all; too little of the system for a program.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tests::lab::{Lab, Place, each, judge_exit, run, some};
use tests::postgres::{Database, Server, hand_over, is_root};
use tests::{Case, Target, both, program};

use crate::mount::Mount;

/// A small file system, and databases on it.
struct Small {
    lab: Lab,
    server: Option<Arc<Server>>,
    mount: Mount,
    /// Open to the server's user.
    _room: tempfile::TempDir,
}

impl Small {
    fn new(case: Case) -> Self {
        let room = tempfile::tempdir_in("/tmp").unwrap();
        hand_over(room.path());
        let mount = Mount::small(room.path().join("small"), case.either(4, 48));
        // None that others need.
        let server = (case.target == Target::Postgres).then(|| Server::start(""));
        let lab = server
            .as_ref()
            .map_or_else(|| Lab::on(case.target), Lab::on_server);
        if let Some(server) = &server {
            let space = mount.0.join("space");
            fs::create_dir(&space).unwrap();
            hand_over(&space);
            Database::named(server, "postgres").sql(&format!(
                "CREATE TABLESPACE small LOCATION '{}'",
                space.display()
            ));
        }
        Self {
            lab,
            server,
            mount,
            _room: room,
        }
    }

    /// Makes a place whose database lies there; a file with its folder.
    fn place(&self, case: Case, name: &str) -> Place {
        match case.target {
            Target::Sqlite => {
                let place = Place::sqlite(self.mount.0.join(name));
                fs::create_dir(&place.folder).unwrap();
                fs::copy(self.lab.path("before.db"), place.file()).unwrap();
                place
            }
            Target::Postgres => {
                let place = self.lab.place(name);
                let database = place.db.postgres();
                let server = Database::named(&database.server, "postgres");
                server.sql(&format!(
                    "ALTER DATABASE {} SET TABLESPACE small",
                    database.name
                ));
                // Whoever comes first has the server write files of its own.
                assert!(!place.db.has_ledger());
                place
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It has files open there.
        if let Some(server) = &self.server {
            server.stop("immediate");
        }
    }
}

/// Real ENOSPC (53100 of a server), with 4 KiB more room each time, until there is enough.
fn a_full_disk_undoes_the_batch_and_names_the_volume(case: Case) {
    let small = Small::new(case);
    let place = small.place(case, "all");
    let free = small.mount.free();
    let _ = run(&mut small.lab.apply(&place), None).code(0);
    let all = free - small.mount.free();
    place.remove();
    let (full, written) = (Cell::new(0), Cell::new(0));
    let points = (1..=all + 2).map(|pages| pages.to_string()).collect();
    each(case.test, some(case, points, 8), |pages| {
        let place = small.place(case, pages);
        let ballast = small.mount.fill(pages.parse().unwrap());
        let done = run(&mut small.lab.apply(&place), None);
        fs::remove_file(ballast).unwrap();
        judge_exit(&done, false, &place);
        if done.code != 0 {
            let says = case.either(
                &["the volume of", "full", "t.db"][..],
                &["the disk of the server is full"],
            );
            let _ = done.clone().says(says);
            full.set(full.get() + 1);
            written.set(written.get() + u64::from(done.code == 3));
        }
        small.lab.judge(&place);
        small.lab.mend(&place);
        place.remove();
    });
    let alone = std::env::var("SWITCHBACK_POINT").is_ok();
    let (full, written) = (full.get(), written.get());
    assert!(
        full > case.either(10, 3) && written > 0 || alone,
        "{full} were full, {written} of them in mid-run"
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

fn what_is_no_database_is_refused_and_left_alone(case: Case) {
    match case.target {
        Target::Sqlite => no_file(&Lab::on(case.target)),
        Target::Postgres => no_server(&Lab::on(case.target)),
    }
}

fn no_file(lab: &Lab) {
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

/// A database that the server does not have, one who is no server, and nobody at all.
fn no_server(lab: &Lab) {
    let mut place = lab.place("missing");
    let name = &place.db.postgres().name.clone();
    place.url = place.db.url().replace(name, "missing");
    let _ = run(&mut lab.apply(&place), None)
        .code(5)
        .says(&["database \"missing\" does not exist"]);
    let made = "SELECT count(*) FROM pg_database WHERE datname = 'missing'";
    assert_eq!(place.db.ask(made), "0", "a database was made");
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    place.url = place.db.postgres().url_at(port);
    let told = std::thread::spawn(move || {
        let (mut client, _) = stranger.accept().unwrap();
        client
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let _ = run(&mut lab.apply(&place), None).code(5).says(&["app@"]);
    told.join().unwrap();
    let _ = run(&mut lab.apply(&place), None)
        .code(5)
        .says(&["Connection refused"]);
}

fn a_ledger_of_another_version_is_refused(case: Case) {
    let lab = Lab::on(case.target);
    let none = case.either("VALUES (NULL)", "SELECT 1 WHERE 1 = 0");
    for version in ["VALUES (0)", "VALUES (3)", none] {
        let place = lab.applied(version);
        place.db.sql(&format!(
            "DELETE FROM switchback_meta; INSERT INTO switchback_meta {version}"
        ));
        let before = place.db.dump();
        let _ = run(&mut lab.apply(&place), None).code(4).says(&["ledger"]);
        let _ = run(&mut Lab::rollback(&place), None)
            .code(4)
            .says(&["ledger"]);
        assert_eq!(place.db.dump(), before);
    }
}

/// So few files may be open that nothing can work: an error, and nothing half done.
fn too_few_file_descriptors_are_a_clean_error(case: Case) {
    let lab = Lab::on(case.target);
    for limit in (3..20).step_by(case.either(1, 3)) {
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
fn a_memory_cap_is_enough_for_many_records(case: Case) {
    let room = tests::Bulk::room(case, 20_000);
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

both!(
    what_is_no_database_is_refused_and_left_alone,
    a_full_disk_undoes_the_batch_and_names_the_volume,
    a_ledger_of_another_version_is_refused,
    too_few_file_descriptors_are_a_clean_error,
    #[ignore = "the long form: just faults"]
    a_memory_cap_is_enough_for_many_records,
);
