//! Rows, for people and for programs.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// A group of rows, and what stands above them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) heading: &'static [&'static str],
    pub(crate) lines: Vec<Line>,
}

/// A row, measured.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// One below each word of the heading.
    pub(crate) cells: Vec<String>,
    /// Whether it is within its target; `None` where there is none, or nothing is known.
    pub(crate) holds: Option<bool>,
    /// What else a program is told: an object with `unit`, `value`, `target`; where it lacks them, `baseline` and `ratio`
    /// are null.
    pub(crate) figures: Value,
}

impl Line {
    /// A row that was timed again and again; the target is the median's. Below `median`, `max`, `target`.
    pub(crate) fn timed(name: String, mut times: Vec<Duration>, target: Option<Duration>) -> Self {
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let [median, max] = [times.len() / 2, times.len() - 1].map(|index| ms(times[index]));
        let target = target.map(ms);
        let shown = |ms: Option<f64>| ms.map_or(String::new(), |ms| format!("{ms:.0} ms"));
        Self {
            name,
            cells: [Some(median), Some(max), target].map(shown).into(),
            holds: target.map(|target| median <= target),
            figures: json!({ "unit": "ms", "value": median, "target": target, "max": max }),
        }
    }
}

/// Prints a line of text for each row.
pub(crate) fn print(tables: &[Table]) {
    let names = tables.iter().flat_map(|table| &table.lines).map(|line| line.name.clone());
    let mut printer = Printer::new(names);
    for Table { heading, lines } in tables {
        for line in lines {
            printer.print(heading, line);
        }
    }
}

/// Prints rows one by one, and the words above them where they change.
pub(crate) struct Printer {
    width: usize,
    heading: &'static [&'static str],
}

impl Printer {
    /// For rows of these names.
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        Self { width: names.map(|name| name.len()).max().unwrap_or(0), heading: &[] }
    }

    /// Prints a line of text for a row.
    pub(crate) fn print(&mut self, heading: &'static [&'static str], line: &Line) {
        let width = self.width;
        if self.heading != heading {
            if !self.heading.is_empty() {
                println!();
            }
            println!("{:width$}{}", "", cells(heading));
            self.heading = heading;
        }
        let Line { name, cells: figures, holds, .. } = line;
        let verdict = match holds {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "",
        };
        println!("{}", format!("{name:width$}{}  {verdict}", cells(figures)).trim_end());
    }
}

fn cells(cells: &[impl AsRef<str>]) -> String {
    cells.iter().fold(String::new(), |line, cell| format!("{line} {:>11}", cell.as_ref()))
}

/// Prints an array of the rows.
pub(crate) fn print_json(tables: Vec<Table>) -> Result<()> {
    let rows: Vec<Value> = tables.into_iter().flat_map(|table| table.lines).map(row).collect();
    println!("{}", serde_json::to_string_pretty(&rows)?);
    Ok(())
}

fn row(Line { name, holds, mut figures, .. }: Line) -> Value {
    for only_of_some in ["baseline", "ratio"] {
        if figures.get(only_of_some).is_none() {
            figures[only_of_some] = Value::Null;
        }
    }
    figures["name"] = json!(name);
    figures["holds"] = json!(holds);
    figures
}
