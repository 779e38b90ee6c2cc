//! Rows, for people and for programs.

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
    /// What else a program is told: an object.
    pub(crate) figures: Value,
}

/// Prints a line of text for each row.
pub(crate) fn print(tables: &[Table]) {
    let names = tables.iter().flat_map(|table| &table.lines).map(|line| line.name.len());
    let width = names.max().unwrap_or(0);
    let tables = tables.iter().filter(|table| !table.lines.is_empty());
    for (index, Table { heading, lines }) in tables.enumerate() {
        if index > 0 {
            println!();
        }
        println!("{:width$}{}", "", cells(heading));
        for Line { name, cells: figures, holds, .. } in lines {
            let verdict = match holds {
                Some(true) => "holds",
                Some(false) => "MISSED",
                None => "",
            };
            println!("{}", format!("{name:width$}{}  {verdict}", cells(figures)).trim_end());
        }
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
    figures["name"] = json!(name);
    figures["holds"] = json!(holds);
    figures
}
