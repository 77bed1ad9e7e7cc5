//! The control socket: commands to a running daemon, from the command line on the same machine.
//!
//! A Unix socket that only its owner can open. Each connection brings one request and takes one answer, a JSON object on
//! a line each: [`Request`] and [`Answer`]. It moves no money and shows no customer: it reloads flows, counts sessions and tells how
//! the binds are.

use std::fs::{DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::messaging::MessagingFigures;
use crate::app::reload::{Dialplans, Outcome};
use crate::session::registry::Version;

/// The longest request, bytes; a longer one is answered and not read.
pub const REQUEST_BYTES_MAX: u64 = 4096;
/// Connections at once; one more is answered that the daemon is busy.
pub const CONNECTIONS_MAX: usize = 8;
/// How long a request may take to come, and its answer to be taken.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Diagnostics in one answer; of more only the number is told.
pub const DIAGNOSTICS_MAX: usize = 1000;
/// How long a command waits for its answer: several reloads may be before it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// The longest answer that a command reads, bytes.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// What is read and thrown away after a request that was too long, so that its sender comes to read the answer.
const SPILL_BYTES_MAX: u64 = 1 << 20;
/// How long the listener rests when the system gives it no connection.
const REST: Duration = Duration::from_millis(200);

/// What can be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Read the dialplans again and serve them.
    Reload {
        /// Whether the answer's excerpts are coloured.
        #[serde(default)]
        colours: bool,
    },
    /// Which versions are served or still run.
    Versions {},
    /// How the binds are, and what went over them.
    Links {},
}

/// What is answered.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Reload`].
    Reload(Reloaded),
    /// To [`Request::Versions`].
    Versions {
        /// The newest first.
        versions: Vec<Version>,
    },
    /// To [`Request::Links`].
    Links(MessagingFigures),
    /// The request was not understood, or there is no time for it.
    Error {
        /// Why, in a sentence.
        error: String,
    },
}

/// What became of a reload.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Reloaded {
    /// Whether what is in the folder is what is served now.
    pub ok: bool,
    /// Whether anything has changed.
    pub reloaded: bool,
    /// The version that is served now.
    pub version: String,
    /// The version that was served before, if anything has changed.
    pub replaced: Option<String>,
    /// Flows of the new version.
    pub flows: Option<usize>,
    /// Sessions that go on with an older one.
    pub staying: Option<usize>,
    /// Diagnostics that keep the flows from being served.
    pub faults: usize,
    /// What the checker found, at most [`DIAGNOSTICS_MAX`] of it.
    pub diagnostics: Vec<serde_json::Value>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rendered: Vec<String>,
    /// How many are left out.
    pub left_out: usize,
    /// The outcome for people.
    pub summary: String,
}

impl Reloaded {
    fn new(outcome: &Outcome, colours: bool) -> Self {
        let (mut diagnostics, mut rendered) = (Vec::new(), Vec::new());
        let (mut faults, mut found) = (0, 0);
        if let Some(report) = outcome.report() {
            (faults, found) = (report.faults(), report.diagnostics.len());
            let told = report.diagnostics.iter().take(DIAGNOSTICS_MAX);
            diagnostics.extend(told.filter_map(|d| serde_json::to_value(d).ok()));
            rendered.extend(report.rendered(colours).take(DIAGNOSTICS_MAX));
        }
        let (replaced, flows, staying) = match outcome {
            Outcome::Reloaded { from, flows, staying, .. } => {
                (Some(from.clone()), Some(*flows), Some(*staying))
            }
            _ => (None, None, None),
        };
        Self {
            ok: outcome.is_good(),
            reloaded: replaced.is_some(),
            version: outcome.version().to_owned(),
            replaced,
            flows,
            staying,
            faults,
            diagnostics,
            rendered,
            left_out: found.saturating_sub(DIAGNOSTICS_MAX),
            summary: outcome.summary(),
        }
    }
}

/// What can go wrong with the socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon answers there.
    #[error("{path}: another keytone listens there; give this one a [control] socket of its own")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{path} is not a socket; it is left alone")]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot listen on {path}: {source}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody listens.
    #[error("no daemon listens on {path}: is `keytone serve` running with this configuration?")]
    Nobody {
        /// The socket.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{path} may be used only by the daemon's own user")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon does not answer as it should.
    #[error("the daemon on {path} does not answer: {source}")]
    Answer {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Tells how the binds are.
pub type Figures = Arc<dyn Fn() -> MessagingFigures + Send + Sync>;

/// What commands are about.
#[derive(Clone)]
struct Subjects {
    dialplans: Dialplans,
    figures: Figures,
}

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    file: SocketFile,
}

/// The socket's file; removed when dropped, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let here = std::fs::symlink_metadata(&self.path);
        if here.is_ok_and(|about| identity(&about) == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Control {
    /// Listens on a socket that only its owner may open. One that a dead daemon has left is taken away.
    ///
    /// # Errors
    /// When a living daemon listens there, when something is there that is no socket, or when the system refuses.
    pub async fn listen(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Listen { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Ok(about) if !about.file_type().is_socket() => {
                return Err(Error::NotASocket { path: path.to_owned() });
            }
            Ok(_) => match timeout(PATIENCE, UnixStream::connect(path)).await {
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => return Err(fail(error)),
                _ => return Err(Error::Taken { path: path.to_owned() }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
        // A socket is made with the rights that the process's mask leaves. Until it has the right ones it stays in a
        // folder that only the owner can enter; then it takes the place of a dead one in one move.
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let nursery = folder.join(format!(".keytone-{}", std::process::id()));
        let unborn = nursery.join("s");
        let clear = || {
            let _ = std::fs::remove_file(&unborn);
            let _ = std::fs::remove_dir(&nursery);
        };
        clear();
        DirBuilder::new().mode(0o700).create(&nursery).map_err(fail)?;
        let listening = UnixListener::bind(&unborn).and_then(|listener| {
            std::fs::set_permissions(&unborn, std::fs::Permissions::from_mode(0o600))?;
            let identity = identity(&std::fs::symlink_metadata(&unborn)?);
            std::fs::rename(&unborn, path)?;
            Ok(Self { listener, file: SocketFile { path: path.to_owned(), identity } })
        });
        clear();
        listening.map_err(fail)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Answers until `stop`; then the socket is gone.
    pub async fn run(self, dialplans: Dialplans, figures: Figures, stop: CancellationToken) {
        let subjects = Subjects { dialplans, figures };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("control: {error}");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                refuse(&stream);
                continue;
            };
            let (subjects, stop) = (subjects.clone(), stop.clone());
            tokio::spawn(async move {
                let _place = place;
                tokio::select! {
                    () = serve(stream, &subjects) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}

/// Tells one caller too many so, without waiting for him.
fn refuse(stream: &UnixStream) {
    let busy = format!("there are {CONNECTIONS_MAX} commands under way; try again");
    let _ = stream.try_write(&line(&Answer::Error { error: busy }));
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}

/// One request and its answer.
async fn serve(mut stream: UnixStream, subjects: &Subjects) {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut request = Vec::new();
    let mut limited = (&mut read).take(REQUEST_BYTES_MAX + 1);
    let answer = match timeout(PATIENCE, limited.read_until(b'\n', &mut request)).await {
        Err(_) => Answer::Error { error: format!("no request within {} s", PATIENCE.as_secs()) },
        Ok(Err(error)) => Answer::Error { error: error.to_string() },
        Ok(Ok(_)) => answer(&request, subjects).await,
    };
    let told = timeout(PATIENCE, async {
        write.write_all(&line(&answer)).await?;
        write.shutdown().await?;
        // What came beyond the request's line is read away: closing with it unread would break the sender's writing.
        tokio::io::copy(&mut read.take(SPILL_BYTES_MAX), &mut tokio::io::sink()).await
    });
    if !matches!(told.await, Ok(Ok(_))) {
        tracing::debug!("control: the answer was not taken");
    }
}

async fn answer(request: &[u8], Subjects { dialplans, figures }: &Subjects) -> Answer {
    if u64::try_from(request.len()).is_ok_and(|length| length > REQUEST_BYTES_MAX) {
        return Answer::Error { error: format!("a request has at most {REQUEST_BYTES_MAX} bytes") };
    }
    match serde_json::from_slice(request) {
        Ok(Request::Reload { colours }) => {
            let outcome = dialplans.reload().await;
            outcome.log();
            Answer::Reload(Reloaded::new(&outcome, colours))
        }
        Ok(Request::Versions {}) => Answer::Versions { versions: dialplans.versions() },
        Ok(Request::Links {}) => Answer::Links(figures()),
        Err(error) => Answer::Error { error: format!("not a request: {error}") },
    }
}

/// Asks the daemon that listens on a socket.
///
/// # Errors
/// When nobody listens, or no answer comes within [`ANSWER_WITHIN`].
pub async fn ask(path: &Path, request: Request) -> Result<Answer, Error> {
    let named = || path.to_owned();
    let connected =
        timeout(PATIENCE, UnixStream::connect(path)).await.unwrap_or_else(|late| Err(late.into()));
    let stream = connected.map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::Nobody { path: named() },
        ErrorKind::PermissionDenied => Error::NotAllowed { path: named() },
        _ => Error::Answer { path: named(), source },
    })?;
    let asked =
        timeout(ANSWER_WITHIN, exchange(stream, request)).await.unwrap_or_else(|late| Err(late.into()));
    asked.map_err(|source| Error::Answer { path: named(), source })
}

async fn exchange(mut stream: UnixStream, request: Request) -> std::io::Result<Answer> {
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(serde_json::from_slice(&answer)?)
}
