//! A PostgreSQL of our own for the tests: a private cluster in a temporary directory, reached by a socket in it, made at
//! the first use and gone when the test process is, however that ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::{ConnectOptions, Connection, Executor};

/// Keeps the server: it ends when its standard input closes, which the operating system does for a process that dies. As long
/// as there is a file `again` beside the data it starts a server that has died once more.
const KEEPER: &str = r#"
trap '' INT HUP TERM
dir=$1; bin=$2; fsync=$3; shift 3
clean() { rm -rf "$dir"; }
"$@" "$bin/initdb" -D "$dir/data" -U keytone --auth=trust --no-sync -E UTF8 --locale=C >"$dir/initdb.log" 2>&1 || {
    echo "failed: initdb: $(tail -3 "$dir/initdb.log")"; clean; exit 1; }
serve() {
    "$@" "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync="$fsync" -c max_connections=200 \
        -c shared_buffers=256MB -c max_wal_size=4GB >>"$dir/server.log" 2>&1
}
(serve "$@"; while [ -e "$dir/again" ] && sleep 1 && [ -e "$dir/again" ]; do serve "$@"; done) &
server=$!
tries=0
until "$bin/pg_isready" -q -h "$dir"; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 $server 2>/dev/null; then
        echo "failed: postgres: $(tail -3 "$dir/server.log")"
        kill -QUIT "$(head -1 "$dir/data/postmaster.pid" 2>/dev/null)" $server 2>/dev/null; clean; exit 1
    fi
    sleep 0.1
done
unset LD_PRELOAD
echo ready
read -r _
rm -f "$dir/again"
# It may just be starting once more: then there is nobody yet to be ended.
while kill -0 $server 2>/dev/null; do
    postmaster=$(head -1 "$dir/data/postmaster.pid" 2>/dev/null)
    [ -z "$postmaster" ] || kill -QUIT "$postmaster" 2>/dev/null
    sleep 0.1
done
wait $server
clean
"#;

/// A running cluster.
pub(crate) struct Cluster {
    dir: PathBuf,
    /// Its standard input keeps the server alive.
    _keeper: Mutex<Child>,
}

impl Cluster {
    /// Starts a cluster.
    pub(crate) fn start(fsync: bool) -> Result<Self, String> {
        Self::start_as(&fsync.to_string(), fsync, &[])
    }

    /// The same with a name of its own in this process, and with these variables in its environment.
    pub(crate) fn start_as(name: &str, fsync: bool, environment: &[(&str, &Path)]) -> Result<Self, String> {
        let bin = binaries().ok_or(
            "no PostgreSQL server under /usr/lib/postgresql/*/bin: install the package postgresql (Debian: apt install postgresql)",
        )?;
        let dir = std::env::temp_dir().join(format!("keytone-pg-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&dir).arg(&bin).arg(if fsync { "on" } else { "off" });
        if output("id", &["-u"]) == "0" {
            // The server refuses to run as root.
            let user = if output("id", &["-u", "postgres"]).is_empty() { "nobody" } else { "postgres" };
            let group = output("id", &["-g", user]);
            output("chown", &[user, &dir.to_string_lossy()]);
            command.args(["setpriv", "--reuid", user, "--regid", &group, "--clear-groups"]);
        } else {
            command.arg("env");
        }
        let mut keeper = command
            .envs(environment.iter().copied())
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let mut line = String::new();
        let stdout = keeper.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.trim() == "ready" { Ok(Self { dir, _keeper: Mutex::new(keeper) }) } else { Err(line) }
    }

    /// The address of a database in it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://keytone@localhost/{database}?host={}", self.dir.display())
    }

    /// Where the socket and the data are.
    #[allow(dead_code, reason = "the bench asks for it")]
    pub(crate) fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// A new, empty database.
    pub(crate) async fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let options: sqlx::postgres::PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut conn = options.connect().await.unwrap();
        conn.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        conn.close().await.unwrap();
        self.url(&name)
    }
}

/// The cluster of this test process. Fails the test when there is no server to start.
fn ours() -> &'static Cluster {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match CLUSTER.get_or_init(|| Cluster::start(false)) {
        Ok(cluster) => cluster,
        Err(why) => panic!("{why}"),
    }
}

/// The address of a new, empty database in the cluster of this test process.
pub(crate) async fn database_url() -> String {
    ours().database().await
}

/// Where the socket of that cluster is.
#[allow(dead_code, reason = "the bench does not ask for it")]
pub(crate) fn socket_of_ours() -> &'static Path {
    ours().socket_dir()
}

/// Takes a database away (`false`): its connections are cut and no new one is let in; or gives it back (`true`).
pub(crate) async fn plug(url: &str, back: bool) {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let name = options.get_database().unwrap().to_owned();
    let mut conn = options.database("postgres").connect().await.unwrap();
    let allow = format!("alter database {name} with allow_connections {back}");
    conn.execute(sqlx::AssertSqlSafe(allow)).await.unwrap();
    if !back {
        let cut = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        conn.execute(sqlx::AssertSqlSafe(cut)).await.unwrap();
    }
    conn.close().await.unwrap();
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
