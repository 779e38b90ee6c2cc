//! The rows, for people and for programs.

use anyhow::Result;
use serde_json::{Value, json};

use super::measure::{Line, Measured};

/// Prints a line of text for each row.
pub(crate) fn print(lines: &[Line]) {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    println!("{:width$} {:>8} {:>10} {:>8}", "", "in all", "above bare", "target");
    for Line { name, measured } in lines {
        let (all, above, target) = match *measured {
            Measured::Time { ns, bare, target } => (
                format!("{ns} ns"),
                format!("{:+} ns", ns - bare),
                target.map_or(String::new(), |target| format!("{target:+} ns")),
            ),
            Measured::Instructions { count, target } => (
                count.map_or("unknown".to_owned(), |count| count.to_string()),
                String::new(),
                target.to_string(),
            ),
        };
        let verdict = match holds(*measured) {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "",
        };
        println!("{}", format!("{name:width$} {all:>8} {above:>10} {target:>8}  {verdict}").trim_end());
    }
}

/// Prints an array of the rows. `ratio` is the whole time to `baseline`.
pub(crate) fn print_json(lines: &[Line]) -> Result<()> {
    let rows: Vec<_> = lines.iter().map(row).collect();
    println!("{}", serde_json::to_string_pretty(&rows)?);
    Ok(())
}

fn row(Line { name, measured }: &Line) -> Value {
    let holds = holds(*measured);
    match *measured {
        Measured::Time { ns, bare, target } => json!({
            "name": name,
            "unit": "ns above bare",
            "value": ns - bare,
            "baseline": bare,
            "ratio": ratio(ns, bare),
            "target": target,
            "holds": holds,
        }),
        Measured::Instructions { count, target } => json!({
            "name": name,
            "unit": "instructions",
            "value": count,
            "baseline": null,
            "ratio": null,
            "target": target,
            "holds": holds,
        }),
    }
}

/// To two digits.
fn ratio(ns: i64, bare: i64) -> Option<f64> {
    let hundredths = u32::try_from((ns * 100).checked_div(bare)?).ok()?;
    Some(f64::from(hundredths) / 100.0)
}

/// Whether a row is within its target; `None` where there is none, or nothing is known.
fn holds(measured: Measured) -> Option<bool> {
    match measured {
        Measured::Time { ns, bare, target } => Some(ns - bare <= target?),
        Measured::Instructions { count, target } => Some(count? <= target),
    }
}
