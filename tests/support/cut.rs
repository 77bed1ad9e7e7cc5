//! A line to PostgreSQL that is cut at commits: of every few, one is lost on its way there, or the answer to it is lost on its
//! way back. Whoever is on the line cannot tell which.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// How the server says, after a commit, that it waits for the next statement.
const READY: &[u8] = b"Z\0\0\0\x05I";

/// What is counted.
#[derive(Default)]
struct Counts {
    commits: AtomicUsize,
    lost: AtomicUsize,
    unheard: AtomicUsize,
    over: AtomicBool,
}

/// The line.
pub(crate) struct Line {
    /// The address of the database over it.
    pub(crate) url: String,
    counts: Arc<Counts>,
}

/// What becomes of a commit.
enum Fate {
    Passes,
    Lost,
    Unheard,
}

impl Counts {
    fn fate(&self, every: usize) -> Fate {
        let n = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if self.over.load(Ordering::SeqCst) || !n.is_multiple_of(every) {
            Fate::Passes
        } else if (n / every).is_multiple_of(2) {
            self.lost.fetch_add(1, Ordering::SeqCst);
            Fate::Lost
        } else {
            self.unheard.fetch_add(1, Ordering::SeqCst);
            Fate::Unheard
        }
    }
}

impl Line {
    /// A line to a database of the cluster whose socket is in `socket_dir`; one of `every` commits is cut.
    pub(crate) async fn open(socket_dir: &Path, url: &str, every: usize) -> Self {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let database = options.get_database().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://keytone@{}/{database}?sslmode=disable", listener.local_addr().unwrap());
        let counts = Arc::<Counts>::default();
        let (socket, counted) = (socket_dir.join(".s.PGSQL.5432"), Arc::clone(&counts));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, socket.clone(), every, Arc::clone(&counted)));
            }
        });
        Self { url, counts }
    }

    /// From now on nothing is cut.
    pub(crate) fn mend(&self) {
        self.counts.over.store(true, Ordering::SeqCst);
    }

    /// Commits that were lost, and those whose answer was.
    pub(crate) fn cut(&self) -> (usize, usize) {
        (self.counts.lost.load(Ordering::SeqCst), self.counts.unheard.load(Ordering::SeqCst))
    }
}

/// A message of the client's, whole; the first has no letter before its length.
async fn message(from: &mut (impl AsyncRead + Unpin), first: bool) -> Option<Vec<u8>> {
    let head = if first { 4 } else { 5 };
    let mut bytes = vec![0; head];
    from.read_exact(&mut bytes).await.ok()?;
    let length = u32::from_be_bytes(bytes[head - 4..].try_into().unwrap());
    let rest = usize::try_from(length).unwrap().checked_sub(4)?;
    bytes.resize(head + rest, 0);
    from.read_exact(&mut bytes[head..]).await.ok()?;
    Some(bytes)
}

fn is_commit(message: &[u8]) -> bool {
    let sql = message.get(5..).unwrap_or_default();
    message.first() == Some(&b'Q') && sql.get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"commit"))
}

/// One connection, until either side or a cut ends it.
async fn carry(client: TcpStream, socket: PathBuf, every: usize, counts: Arc<Counts>) {
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let muted = Arc::new(AtomicBool::new(false));
    let mute = Arc::clone(&muted);
    let there = async move {
        let mut first = true;
        while let Some(message) = message(&mut from_client, first).await {
            first = false;
            let fate = if is_commit(&message) { counts.fate(every) } else { Fate::Passes };
            match fate {
                Fate::Passes => {}
                Fate::Lost => return,
                Fate::Unheard => mute.store(true, Ordering::SeqCst),
            }
            if to_server.write_all(&message).await.is_err() {
                return;
            }
            if mute.load(Ordering::SeqCst) {
                // Its answer ends the connection.
                std::future::pending::<()>().await;
            }
        }
    };
    let back = async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if muted.load(Ordering::SeqCst) {
                if bytes[..count].ends_with(READY) {
                    return;
                }
            } else if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}
