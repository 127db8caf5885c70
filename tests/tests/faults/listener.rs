//! A real HTTP listener that takes whatever is posted and remembers it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A listener; `EVENT PATH` of each post.
pub struct Listener {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut top, mut length) = (String::new(), 0);
                // Who was killed in the middle of it has told nothing.
                while !top.ends_with("\r\n\r\n") {
                    let from = top.len();
                    if reader.read_line(&mut top).unwrap_or(0) == 0 {
                        break;
                    }
                    let line = top[from..].to_lowercase();
                    if let Some(bytes) = line.strip_prefix("content-length: ") {
                        length = bytes.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let path = top.split([' ', '/']).nth(2).unwrap();
                let line = format!("{} {path}", body["event"].as_str().unwrap());
                told.lock().unwrap().push(line);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        Self { port, heard }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.heard.lock().unwrap().clear();
    }
}
