//! The sandbox carrier's own durable memory: one JSON line for every change, on disk before it is answered.
//!
//! One thread owns the file. It takes whatever is waiting, writes it, makes it durable once, and then answers
//! all of it. What the carrier remembers is what a checker may believe.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use tokio::sync::{mpsc, oneshot};

/// Requests waiting for the file; more wait in their connections.
const QUEUE: usize = 1024;

/// One recharge as the carrier knows it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Record {
    /// The asker's reference.
    pub reference: String,
    /// The carrier's reference.
    pub id: String,
    /// The number with `+`; of a biller, the bill's number.
    pub msisdn: String,
    /// The amount as asked.
    pub amount: String,
    /// The currency.
    pub currency: String,
    /// The deduction's id as told by the asker.
    pub deduction: String,
    /// `accepted`, `delivered`, `refused` or `reversed`.
    pub state: String,
    /// The code that goes with it.
    pub code: String,
    /// When it entered this state, RFC 3339.
    pub at: String,
}

/// What the book answers to a recharge.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    /// Written now.
    New(Record),
    /// This reference was written before, with the same content.
    Again(Record),
    /// This reference was written before, with another content.
    Conflict,
}

enum Ask {
    Take(Record, oneshot::Sender<Taken>),
    Change {
        reference: String,
        state: String,
        code: String,
        at: String,
        answer: oneshot::Sender<Option<Record>>,
    },
    Find(String, oneshot::Sender<Option<Record>>),
    All(oneshot::Sender<Vec<Record>>),
}

/// A handle on the book.
#[derive(Clone, Debug)]
pub(super) struct Book(mpsc::Sender<Ask>);

struct Pages {
    file: File,
    order: Vec<String>,
    records: BTreeMap<String, Record>,
}

/// Reads what a book holds: the last state of each reference, in the order of first appearance.
///
/// # Errors
/// When the file cannot be read or a whole line is no record. A last line without its end was never answered
/// and is left out.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut order = Vec::new();
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            break;
        }
        let record: Record = serde_json::from_str(&line).map_err(io::Error::other)?;
        if !records.contains_key(&record.reference) {
            order.push(record.reference.clone());
        }
        records.insert(record.reference.clone(), record);
    }
    Ok(order.iter().filter_map(|r| records.get(r).cloned()).collect())
}

impl Book {
    /// Opens or makes the book and starts its thread, which ends when every handle is dropped.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let known = if path.exists() { read(path)? } else { Vec::new() };
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        heal(&file, path)?;
        let order = known.iter().map(|r| r.reference.clone()).collect();
        let records = known.into_iter().map(|r| (r.reference.clone(), r)).collect();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let pages = Pages { file, order, records };
        std::thread::Builder::new().name("sandbox-book".to_owned()).spawn(move || pages.serve(receiver))?;
        Ok(Self(sender))
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(ask(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Writes a new recharge. `None` when the book is shut.
    pub(super) async fn take(&self, record: Record) -> Option<Taken> {
        self.ask(|answer| Ask::Take(record, answer)).await
    }

    /// Writes a new state of a recharge.
    pub(super) async fn change(
        &self,
        reference: &str,
        state: &str,
        code: &str,
        at: String,
    ) -> Option<Record> {
        let (reference, state, code) = (reference.to_owned(), state.to_owned(), code.to_owned());
        self.ask(|answer| Ask::Change { reference, state, code, at, answer }).await.flatten()
    }

    /// The recharge of a reference.
    pub(super) async fn find(&self, reference: &str) -> Option<Record> {
        self.ask(|answer| Ask::Find(reference.to_owned(), answer)).await.flatten()
    }

    /// Every recharge, oldest first.
    pub(super) async fn all(&self) -> Vec<Record> {
        self.ask(Ask::All).await.unwrap_or_default()
    }
}

/// Cuts off a last line that a crash left without its end, so that the next one stands alone.
fn heal(file: &File, path: &Path) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(u64::try_from(whole).unwrap_or(0))?;
    }
    Ok(())
}

impl Pages {
    fn serve(mut self, mut receiver: mpsc::Receiver<Ask>) {
        while let Some(first) = receiver.blocking_recv() {
            let mut lines = Vec::new();
            let mut answers: Vec<Box<dyn FnOnce()>> = Vec::new();
            answers.push(self.apply(first, &mut lines));
            while let Ok(next) = receiver.try_recv() {
                answers.push(self.apply(next, &mut lines));
            }
            if !lines.is_empty()
                && let Err(error) = self.file.write_all(&lines).and_then(|()| self.file.sync_data())
            {
                // What is not durable is not answered: the askers see a connection without an answer.
                tracing::error!(%error, "the sandbox carrier cannot write its log");
                return;
            }
            for answer in answers {
                answer();
            }
        }
    }

    fn apply(&mut self, ask: Ask, lines: &mut Vec<u8>) -> Box<dyn FnOnce()> {
        match ask {
            Ask::Take(record, answer) => {
                let taken = match self.records.get(&record.reference) {
                    Some(known) if same(known, &record) => Taken::Again(known.clone()),
                    Some(_) => Taken::Conflict,
                    None => {
                        self.order.push(record.reference.clone());
                        self.write(record.clone(), lines);
                        Taken::New(record)
                    }
                };
                Box::new(move || drop(answer.send(taken)))
            }
            Ask::Change { reference, state, code, at, answer } => {
                let changed = self.records.get(&reference).cloned().map(|known| {
                    let record = Record { state, code, at, ..known };
                    self.write(record.clone(), lines);
                    record
                });
                Box::new(move || drop(answer.send(changed)))
            }
            Ask::Find(reference, answer) => {
                let found = self.records.get(&reference).cloned();
                Box::new(move || drop(answer.send(found)))
            }
            Ask::All(answer) => {
                let all = self.order.iter().filter_map(|r| self.records.get(r).cloned()).collect();
                Box::new(move || drop(answer.send(all)))
            }
        }
    }

    fn write(&mut self, record: Record, lines: &mut Vec<u8>) {
        if let Ok(mut line) = serde_json::to_vec(&record) {
            line.push(b'\n');
            lines.extend_from_slice(&line);
        }
        self.records.insert(record.reference.clone(), record);
    }
}

fn same(a: &Record, b: &Record) -> bool {
    (&a.msisdn, &a.amount, &a.currency, &a.deduction) == (&b.msisdn, &b.amount, &b.currency, &b.deduction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(reference: &str) -> Record {
        Record {
            reference: reference.to_owned(),
            id: "c".to_owned(),
            msisdn: "+8613800000001".to_owned(),
            amount: "50.00".to_owned(),
            currency: "CNY".to_owned(),
            deduction: "d".to_owned(),
            state: "accepted".to_owned(),
            code: "PENDING".to_owned(),
            at: "2026-01-01T00:00:00.000Z".to_owned(),
        }
    }

    #[tokio::test]
    async fn remembers_across_a_restart_and_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let book = Book::open(&path).unwrap();
        assert!(matches!(book.take(record("a")).await, Some(Taken::New(_))));
        assert!(matches!(book.take(record("b")).await, Some(Taken::New(_))));
        assert!(book.change("a", "delivered", "DELIVERED", "later".to_owned()).await.is_some());
        drop(book);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"reference\":\"torn").unwrap();
        let book = Book::open(&path).unwrap();
        assert!(matches!(book.take(record("a")).await, Some(Taken::Again(r)) if r.state == "delivered"));
        let other = Record { amount: "51.00".to_owned(), ..record("a") };
        assert!(matches!(book.take(other).await, Some(Taken::Conflict)));
        assert!(matches!(book.take(record("c")).await, Some(Taken::New(_))));
        let states: Vec<_> = read(&path).unwrap().into_iter().map(|r| (r.reference, r.state)).collect();
        let wanted = [("a", "delivered"), ("b", "accepted"), ("c", "accepted")];
        assert_eq!(states, wanted.map(|(r, s)| (r.to_owned(), s.to_owned())));
        assert_eq!(book.all().await.len(), 3);
        assert_eq!(book.find("nobody").await, None);
    }
}
