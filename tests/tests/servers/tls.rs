//! TLS, with an authority of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tests::postgres::{Database, Server, hand_over};
use tests::{Room, Target};

/// Runs `openssl`.
fn openssl(folder: &Path, args: &str) {
    let mut command = Command::new("openssl");
    let done = command
        .args(args.split(' '))
        .current_dir(folder)
        .output()
        .expect("no openssl: apt-get install -y openssl");
    assert!(
        done.status.success(),
        "{args}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Makes an authority, and certificates by it.
fn authority(folder: &Path, name: &str, signs: &[(&str, &str)]) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout {name}.key -out {name}.crt -days 2 -subj /CN={name}"),
    );
    for (leaf, subject) in signs {
        openssl(
            folder,
            &format!("req {key} -keyout {leaf}.key -out {leaf}.csr -subj /CN={subject}"),
        );
        fs::write(
            folder.join("ext"),
            format!("subjectAltName=DNS:{subject}\n"),
        )
        .unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {leaf}.csr -CA {name}.crt -CAkey {name}.key -CAcreateserial -days 2 -extfile ext -out {leaf}.crt"
            ),
        );
    }
}

/// Has a server speak TLS: `tls` may come in no other way, `plain` by no TLS, `card` by its
/// certificate alone.
fn server(folder: &Path) -> std::sync::Arc<Server> {
    let server = Server::start("");
    let data = server.folder.join("data");
    for file in ["server.crt", "server.key", "root.crt"] {
        fs::copy(folder.join(file), data.join(file)).unwrap();
        hand_over(&data.join(file));
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(data.join(file), private).unwrap();
    }
    let rules = "local all all trust\nhostssl all tls 127.0.0.1/32 trust\nhostnossl all plain 127.0.0.1/32 trust\n\
                 hostssl all card 127.0.0.1/32 cert\n";
    fs::write(data.join("pg_hba.conf"), rules).unwrap();
    let mut session = Database::named(&server, "postgres").session();
    for sql in [
        "CREATE ROLE tls LOGIN",
        "CREATE ROLE plain LOGIN",
        "CREATE ROLE card LOGIN",
        "ALTER SYSTEM SET ssl = on",
        "ALTER SYSTEM SET ssl_ca_file = 'root.crt'",
    ] {
        session.batch_execute(sql).unwrap();
    }
    drop(session);
    server.stop("fast");
    server.boot();
    server
}

#[test]
fn every_mode_of_tls_takes_what_it_should_and_nothing_else() {
    let room = Room::new(Target::Sqlite);
    let folder = room.path("");
    authority(
        &folder,
        "root",
        &[
            ("server", "localhost"),
            ("card", "card"),
            ("other", "other"),
        ],
    );
    authority(&folder, "strange", &[]);
    let server = server(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let (ours, strange) = (file("root.crt"), file("strange.crt"));
    let cert = |leaf: &str| {
        format!(
            "sslcert={}&sslkey={}",
            file(&format!("{leaf}.crt")),
            file(&format!("{leaf}.key"))
        )
    };
    let (card, other) = (cert("card"), cert("other"));
    let ways = [
        ("plain", "127.0.0.1", "sslmode=disable".into(), true),
        ("tls", "127.0.0.1", "sslmode=disable".into(), false),
        ("tls", "127.0.0.1", "sslmode=prefer".into(), true),
        ("tls", "127.0.0.1", "sslmode=require".into(), true),
        ("plain", "127.0.0.1", "sslmode=require".into(), false),
        (
            "tls",
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={ours}"),
            true,
        ),
        (
            "tls",
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={strange}"),
            false,
        ),
        (
            "tls",
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            true,
        ),
        (
            "tls",
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            false,
        ),
        (
            "tls",
            "localhost",
            format!("sslmode=verify-full&sslrootcert={strange}"),
            false,
        ),
        ("card", "127.0.0.1", format!("sslmode=require&{card}"), true),
        (
            "card",
            "127.0.0.1",
            format!("sslmode=require&{other}"),
            false,
        ),
        ("card", "127.0.0.1", "sslmode=require".into(), false),
    ];
    for (user, host, options, taken) in ways {
        let url = format!(
            "postgres://{user}@{host}:{}/postgres?{options}",
            server.port
        );
        let done = room.run("verify", &["runs", "--to", &url]);
        let connected = done.code == 0 || done.err.contains("ledger");
        assert_eq!(connected, taken, "{user} {host} {options}: {}", done.err);
    }
}
