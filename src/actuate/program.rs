use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Child;

use crate::actuate::{Actuator, Cause, Outcome};
use crate::ports::Pending;
use crate::presence::Command;
use crate::zones::Zone;

/// How long an ended program may take to be gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(1);
/// No console window comes up.
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// A program, started without a shell; the command stands on its standard input as one line of JSON.
///
/// Exit code 0: applied; any other: refused. A program that crashed or took too long may have done its work. Its
/// output goes to the null device: it is nobody's to read, may name a telephone number, and can neither fill a pipe
/// nor a memory.
pub struct Program {
    /// The program and its arguments; looked for in `PATH` when it has no slash.
    pub program: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// All that it finds in its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How long it may take; then it and what it started are ended.
    pub timeout: Duration,
    /// In which zone times are written.
    pub zone: Zone,
}

impl Actuator for Program {
    fn apply<'a>(&'a self, command: &'a Command) -> Pending<'a, Outcome> {
        Box::pin(self.run(command))
    }
}

impl Program {
    async fn run(&self, command: &Command) -> Outcome {
        let child = match self.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Outcome::Refused(Cause::ProgramMissing);
            }
            Err(error) => return Outcome::Refused(Cause::ProgramNotStarted(error.kind())),
        };
        let mut running = Running { child, is_over: false };
        let mut line = command.wire(&self.zone).to_string().into_bytes();
        line.push(b'\n');
        match tokio::time::timeout(self.timeout, running.finish(&line)).await {
            Ok(Ok(status)) => judge(status),
            Ok(Err(_)) => Outcome::Unclear(Cause::ProgramEnded),
            Err(_) => {
                running.end();
                // Its exit is collected, so that nothing of it stays; the answer is known without it.
                let _ = tokio::time::timeout(GONE_TIMEOUT, running.child.wait()).await;
                Outcome::Unclear(Cause::ProgramSlow(self.timeout))
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let (program, arguments) = self.program.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(CREATE_NO_WINDOW);
        command.spawn()
    }
}

/// A started program. Dropped before it is over (the engine stops, or it took too long), its group is ended.
struct Running {
    child: Child,
    is_over: bool,
}

impl Running {
    /// Hands the line over and waits for the exit. A program that does not read it may be right all the same.
    async fn finish(&mut self, line: &[u8]) -> io::Result<ExitStatus> {
        if let Some(mut stdin) = self.child.stdin.take() {
            let _unread = stdin.write_all(line).await;
            let _closed = stdin.shutdown().await;
        }
        let status = self.child.wait().await?;
        self.is_over = true;
        Ok(status)
    }

    /// Ends the program and, where the system has process groups, what it started. Its exit is not collected yet, so
    /// that its number cannot belong to another group by now.
    fn end(&mut self) {
        #[cfg(unix)]
        {
            let leader = self.child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(group) = leader.and_then(rustix::process::Pid::from_raw) {
                let _gone_already = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
        let _gone_already = self.child.start_kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.end();
        }
    }
}

fn judge(status: ExitStatus) -> Outcome {
    match status.code() {
        Some(0) => Outcome::APPLIED,
        Some(code) if is_crash(code) => Outcome::Unclear(Cause::ProgramEnded),
        Some(code) => Outcome::Refused(Cause::ProgramRefused(code)),
        None => Outcome::Unclear(Cause::ProgramEnded),
    }
}

/// Windows tells a crash by an exit code: `0xC0000005` and its like.
fn is_crash(code: i32) -> bool {
    const CRASHES: std::ops::RangeInclusive<u32> = 0xC000_0000..=0xCFFF_FFFF;
    cfg!(windows) && CRASHES.contains(&code.cast_unsigned())
}
