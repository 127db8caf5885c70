//! `PgBouncer` in transaction mode: each transaction may run in another session.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::db::same;
use tests::lab::{Held, Lab, Place, RUN, begins, names, run};
use tests::postgres::{Server, demote, free_port, hand_over};
use tests::{Target, command};

/// A pooler before a server; it ends with the test.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        hand_over(folder.path());
        let (port, file) = (free_port(), folder.path().join("ini"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=app\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.port
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new("pgbouncer");
        command.arg("-q").arg(&file).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = demote(&mut command).spawn();
        let child = child.expect("no PgBouncer: apt-get install -y pgbouncer");
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the pooler did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            _folder: folder,
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_run_by_a_pooler_in_transaction_mode() {
    let lab = Lab::on(Target::Postgres);
    let pooler = Pooler::new(&Server::shared());
    let place = lab.place("count");
    let steps = names(&mut lab.apply(&place), &place);
    let mut place = lab.place("t");
    place.url = place.db.postgres().url_at(pooler.port);
    // Others in the same pool, one of them in our way: no session is a lock.
    let held = Held::at(
        &mut lab.apply(&place),
        begins(&steps, 4),
        &place.path("gate"),
    );
    let mut other = command("apply", &place.folder, [lab.path("B").as_os_str()]);
    let _ = run(other.args(["--to", &place.url]), None)
        .code(11)
        .says(&[RUN]);
    let _ = held.go().code(0);
    // The pooler keeps its sessions, so nobody waits for them to end.
    same(&place.db.dump(), &lab.after, "after apply");
    others_have_their_own_defaults(&place, pooler.port);
    let bundle = lab.path("B");
    let mut verify = command("verify", &place.folder, [RUN, "--to", &place.url]);
    let _ = run(verify.arg("--bundle").arg(bundle), None).code(0);
    let _ = run(&mut Lab::rollback(&place), None).code(0);
    same(&place.db.dump(), &lab.before, "after rollback");
    others_have_their_own_defaults(&place, pooler.port);
}

/// Asks in every session of the pool, all held at once: none has a setting of ours.
fn others_have_their_own_defaults(place: &Place, port: u16) {
    const SET: &str = "SELECT string_agg(name || '=' || setting, ' ') FROM pg_settings WHERE source = 'session' \
                       AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', \
                       'standard_conforming_strings', 'IntervalStyle', 'search_path', 'extra_float_digits')";
    const VALUES: &str = "SELECT current_setting('jit') || ' ' || current_setting('enable_seqscan') || ' ' || \
        current_setting('row_security') || ' ' || current_setting('lock_timeout') || ' ' || \
        current_setting('search_path') || ' ' || current_setting('bytea_output') || ' ' || current_setting('TimeZone')";
    let connect = |port: u16, host: &str| {
        let name = &place.db.postgres().name;
        let config = format!("host={host} port={port} user=app dbname={name}");
        postgres::Client::connect(&config, postgres::NoTls).unwrap()
    };
    let mut direct = place.db.postgres().session();
    let own: String = direct.query_one(VALUES, &[]).unwrap().get(0);
    let mut clients: Vec<_> = (0..3).map(|_| connect(port, "127.0.0.1")).collect();
    for client in &mut clients {
        client.batch_execute("BEGIN").unwrap();
    }
    let mut sessions = std::collections::BTreeSet::new();
    for client in &mut clients {
        let text = |client: &mut postgres::Client, sql: &str| {
            let said = client.simple_query(sql).unwrap();
            said.iter()
                .find_map(|message| match message {
                    postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
                    _ => None,
                })
                .flatten()
        };
        sessions.insert(text(client, "SELECT pg_backend_pid()"));
        assert_eq!(text(client, VALUES), Some(own.clone()));
        assert_eq!(text(client, SET), None);
    }
    assert_eq!(sessions.len(), 3, "every session of the pool was asked");
}
