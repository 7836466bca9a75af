//! The real program in a throw-away directory, and an emulator beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_calmirror");

/// A directory with a configuration and a place for data.
pub struct Place {
    pub dir: tempfile::TempDir,
}

/// What a run of the program left.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The whole stdout as one document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", self.stdout, self.stderr))
    }

    /// Every line of stdout as a document.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// That it ended with `code`.
    #[track_caller]
    pub fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Place {
    pub fn new(config: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        Place { dir }
    }

    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The program with this place's paths and nothing of the surrounding environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            // Not the bus of whoever runs the tests, and so not their keyring.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .env("CALMIRROR_CONFIG", self.config_path())
            .env("CALMIRROR_DATA_DIR", self.data_dir())
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        Ran::of(self.command(arguments).envs(variables.iter().copied()).output().unwrap())
    }
}

/// The emulator as a process of its own; ended when dropped.
pub struct Emulator {
    child: Child,
    pub origin: String,
    pub control: String,
}

impl Emulator {
    pub fn start(dir: &Path, arguments: &[&str]) -> Emulator {
        Emulator::start_with(dir, arguments, &[])
    }

    pub fn start_with(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Emulator {
        let mut child = Command::new(PROGRAM)
            .env_clear()
            // Not the bus of whoever runs the tests, and so not their keyring.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("HOME", dir)
            .envs(variables.iter().copied())
            .arg("emulate")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = first_line(&mut child);
        let first: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        assert_eq!(first["users"][0]["address"], "anna@contoso.example");
        Emulator { child, origin: text("graph_url"), control: text("control_url") }
    }

    /// Speaks to the control URL.
    pub fn control(&self, path: &str, body: &Value) -> Value {
        let reply = post(&format!("{}{path}", self.control), &body.to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line a child prints.
pub fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

/// A configuration of one account whose servers are at `origin`.
pub fn config_of(origin: &str) -> String {
    format!(
        "[[graph_app]]\ndisplay_name = \"Calendar_Sync\"\napplication_id = \"00000000-0000-0000-0000-000000000000\"\n\
         directory_id = \"contoso.example\"\ngraph_url = \"{origin}\"\nauthority_url = \"{origin}\"\n\
         [[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\n\
         [presence]\ntime_zone = \"Europe/Berlin\"\n"
    )
}

/// An HTTP reply.
#[derive(Debug)]
pub struct HttpReply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Posts JSON.
pub fn post(url: &str, body: &str) -> HttpReply {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let length = body.len();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    speak(host, &request)
}

/// Sends bytes and reads the reply until the other side closes.
pub fn speak(address: &str, request: &str) -> HttpReply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    HttpReply { status, head: head.to_lowercase(), body: body.to_owned() }
}
