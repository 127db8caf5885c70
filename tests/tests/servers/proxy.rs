//! A proxy between a program and the server, which breaks the connection at a given place.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Where the connection breaks, once; later ones are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    Never,
    /// After so many bytes to the server (or from it), by a reset or by an orderly end.
    Byte {
        up: bool,
        at: u64,
        reset: bool,
    },
    /// The nth COMMIT is not carried to the server, nor is anything after it.
    Commit(u64),
    /// The nth COMMIT is, but its answer gets lost.
    Answer(u64),
    /// The same two, in a hole: the connection stays and says nothing more.
    CommitInHole(u64),
    AnswerInHole(u64),
}

/// A proxy; it lasts as long as the test program.
pub struct Proxy {
    pub port: u16,
    line: Arc<Line>,
}

struct Line {
    server: u16,
    broken: Break,
    /// Bytes to and from the server, and COMMITs, over all connections.
    up: AtomicU64,
    down: AtomicU64,
    commits: AtomicU64,
    /// Whether it has broken, and whether it is silent since.
    done: AtomicBool,
}

impl Proxy {
    /// Listens before a server's port.
    pub fn new(server: u16, broken: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line {
            server,
            broken,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                shared.join(client.unwrap());
            }
        });
        Self { port, line }
    }

    /// How many bytes went to the server and came from it.
    pub fn bytes(&self) -> (u64, u64) {
        let line = &self.line;
        (
            line.up.load(Ordering::SeqCst),
            line.down.load(Ordering::SeqCst),
        )
    }

    /// How many COMMITs went to the server.
    pub fn commits(&self) -> u64 {
        self.line.commits.load(Ordering::SeqCst)
    }

    /// Whether the break has come.
    pub fn broke(&self) -> bool {
        self.line.done.load(Ordering::SeqCst)
    }
}

/// The two ends of a connection; `quiet` once it is in a hole.
struct Ends {
    client: TcpStream,
    server: TcpStream,
    quiet: Mutex<bool>,
}

impl Line {
    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else {
            return;
        };
        let quiet = Mutex::new(false);
        let ends = Arc::new(Ends {
            client,
            server,
            quiet,
        });
        for up in [true, false] {
            let (line, ends) = (Arc::clone(self), Arc::clone(&ends));
            std::thread::spawn(move || {
                line.carry(&ends, up);
                ends.client.shutdown(Shutdown::Both).ok();
                ends.server.shutdown(Shutdown::Both).ok();
            });
        }
    }

    /// Carries bytes in one direction until the end, or until the break.
    fn carry(&self, ends: &Ends, up: bool) {
        let (mut from, mut to) = if up {
            (&ends.client, &ends.server)
        } else {
            (&ends.server, &ends.client)
        };
        let mut buffer = vec![0; 65536];
        loop {
            let Ok(count @ 1..) = from.read(&mut buffer) else {
                return;
            };
            let bytes = &buffer[..count];
            let before = if up { &self.up } else { &self.down };
            let before = before.fetch_add(count as u64, Ordering::SeqCst);
            let commit = up && bytes.ends_with(b"Q\0\0\0\x0bCOMMIT\0");
            let commits = if commit {
                self.commits.fetch_add(1, Ordering::SeqCst) + 1
            } else {
                0
            };
            match self.broken {
                Break::Byte { up: way, at, reset }
                    if way == up && before <= at && at < before + count as u64 =>
                {
                    self.done.store(true, Ordering::SeqCst);
                    let whole = usize::try_from(at - before).unwrap();
                    to.write_all(&bytes[..whole]).ok();
                    if reset {
                        for end in [&ends.client, &ends.server] {
                            rustix::net::sockopt::set_socket_linger(
                                end,
                                Some(std::time::Duration::ZERO),
                            )
                            .unwrap();
                        }
                    }
                    return;
                }
                Break::Commit(nth) if commits == nth => {
                    self.done.store(true, Ordering::SeqCst);
                    return;
                }
                Break::CommitInHole(nth) if commits == nth => {
                    self.done.store(true, Ordering::SeqCst);
                    *ends.quiet.lock().unwrap() = true;
                }
                Break::Answer(nth) | Break::AnswerInHole(nth) if commits == nth => {
                    // Before the server has it: its answer is not to slip through.
                    *ends.quiet.lock().unwrap() = true;
                    self.done.store(true, Ordering::SeqCst);
                    to.write_all(bytes).ok();
                    continue;
                }
                _ => {}
            }
            if *ends.quiet.lock().unwrap() {
                if !up && matches!(self.broken, Break::Answer(_)) {
                    return;
                }
                continue;
            }
            if to.write_all(bytes).is_err() {
                return;
            }
        }
    }
}
