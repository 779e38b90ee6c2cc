//! Lines to a stream whose reader may stand still: a thread of their own waits for it, so that the agent never does.

use std::{
    io::{self, Write},
    mem,
    sync::{
        LazyLock,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// What is kept for a reader that is behind; what comes after is dropped.
const LINES: usize = 256;

/// How long who ends waits for what it said last to be written.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The agent's standard output. Its thread starts with the first line.
pub static STDOUT: LazyLock<Lines> = LazyLock::new(|| Lines::to("stdout", io::stdout()));

/// The agent's standard error. Its thread starts with the first line.
pub static STDERR: LazyLock<Lines> = LazyLock::new(|| Lines::to("stderr", io::stderr()));

/// What is written to one stream.
#[derive(Debug)]
pub struct Lines(SyncSender<Work>);

#[derive(Debug)]
enum Work {
    Write(Vec<u8>),
    /// All before it is written once this is dropped.
    Tell(SyncSender<()>),
}

impl Lines {
    fn to(stream: &str, to: impl Write + Send + 'static) -> Self {
        let (lines, work) = sync_channel(LINES);
        // Without a thread every line is dropped, and an agent that cannot speak still serves.
        let _ = thread::Builder::new().name(stream.to_owned()).spawn(|| write(work, to));
        Self(lines)
    }

    /// Has a line, or several, written soon; `false`: it is dropped, because too many wait to be read.
    pub fn say(&self, line: impl Into<Vec<u8>>) -> bool {
        self.0.try_send(Work::Write(line.into())).is_ok()
    }

    /// Waits until all is written, but not for ever; `false`: it is not.
    pub fn finish(&self) -> bool {
        let (tell, told) = sync_channel(0);
        self.0.try_send(Work::Tell(tell)).is_ok()
            && told.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write(work: Receiver<Work>, mut to: impl Write) {
    for work in work {
        match work {
            // Nobody has to read them.
            Work::Write(line) => drop(to.write_all(&line).and_then(|()| to.flush())),
            Work::Tell(tell) => drop(tell),
        }
    }
}

/// A log to standard error that tells how much of it was dropped.
#[derive(Debug, Default)]
pub struct Log {
    dropped: u64,
}

/// Each call is one record, as `env_logger` makes them.
impl Write for Log {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.record(&STDERR, record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn record(&mut self, lines: &Lines, record: &[u8]) {
        let mut text = match self.dropped {
            0 => Vec::new(),
            dropped => format!("(nobody read the log: {dropped} records were dropped here)\n").into_bytes(),
        };
        text.extend_from_slice(record);
        if lines.say(text) {
            mem::take(&mut self.dropped);
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        time::Instant,
    };

    use super::*;

    #[test]
    fn what_was_said_is_written_when_it_is_finished() {
        let (reader, writer) = io::pipe().unwrap();
        let lines = Lines::to("test", writer);
        assert!(lines.say("one\n") && lines.say("two\n") && lines.finish());
        let read: Vec<_> = BufReader::new(reader).lines().take(2).map(Result::unwrap).collect();
        assert_eq!(read, ["one", "two"]);
    }

    #[test]
    fn a_reader_that_stands_still_keeps_nobody_waiting_and_is_told_what_it_missed() {
        // More than the pipe and the queue hold.
        const RECORDS: usize = 1000;
        let record = [&[b'x'; 1023][..], b"\n"].concat();
        let (reader, writer) = io::pipe().unwrap();
        let lines = Lines::to("test", writer);
        let mut log = Log::default();
        let began = Instant::now();
        for _ in 0..RECORDS {
            log.record(&lines, &record);
        }
        assert!(!lines.finish());
        assert!(began.elapsed() < LAST_WORDS * 10, "{:?}", began.elapsed());
        let dropped = log.dropped;
        assert!((1..RECORDS as u64).contains(&dropped), "{dropped}");

        let mut read = BufReader::new(reader).lines().map(Result::unwrap);
        let taken = RECORDS - usize::try_from(dropped).unwrap();
        assert_eq!(read.by_ref().take(taken).filter(|line| line.len() == 1023).count(), taken);
        log.record(&lines, b"after\n");
        let told = read.next().unwrap();
        assert!(told.contains(&format!(" {dropped} records were dropped")), "{told}");
        assert_eq!(read.next().unwrap(), "after");
        assert_eq!(log.dropped, 0);
    }

    #[test]
    fn a_reader_that_went_away_is_no_hindrance() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lines = Lines::to("test", writer);
        assert!(lines.say("one\n") && lines.finish());
    }
}
