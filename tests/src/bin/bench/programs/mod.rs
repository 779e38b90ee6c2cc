//! What the kernel programs cost.
//!
//! Each row is a program on a frame, by `BPF_PROG_TEST_RUN`: the shipped programs, on maps that are filled as the agent
//! fills them. Where a frame would not be the same a second time, the program for measuring undoes what was done to it.
//!
//! A program that did not do what its row says is a failure.

mod frames;
mod measure;
mod rows;
mod stage;

use anyhow::{Result, bail};
use serde_json::{Value, json};

pub(crate) use self::rows::{answered_with_nsid, inserted};
use self::{
    measure::{Measured, measure},
    rows::{Row, rows},
    stage::Stage,
};
use crate::table::{Line, Table};

/// Measures the rows that are wanted.
pub(crate) fn programs(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let rows = rows().into_iter().filter(|row| wanted(row.name)).collect::<Vec<_>>();
    let lines = if rows.is_empty() { vec![] } else { measure(&mut Stage::set()?, &rows)? };
    let lines = lines.into_iter().map(|(name, measured)| line(name, measured)).collect();
    Ok(Table { heading: &["in all", "above bare", "target"], lines })
}

/// Nanoseconds above the bare program, of each row.
pub(crate) fn time_above_bare<const N: usize>(rows: &[Row; N]) -> Result<[f64; N]> {
    let lines = measure(&mut Stage::set()?, rows)?;
    let mut times = [0.0; N];
    for (time, (name, measured)) in times.iter_mut().zip(lines) {
        let Measured::Time { ns, bare, .. } = measured else { bail!("`{name}` has no time") };
        *time = f64::from(i32::try_from(ns - bare)?);
    }
    Ok(times)
}

fn line(name: &str, measured: Measured) -> Line {
    let cells = match measured {
        Measured::Time { ns, bare, target } => vec![
            format!("{ns} ns"),
            format!("{:+} ns", ns - bare),
            target.map_or(String::new(), |target| format!("{target:+} ns")),
        ],
        Measured::Instructions { count, target } => vec![
            count.map_or("unknown".to_owned(), |count| count.to_string()),
            String::new(),
            target.to_string(),
        ],
    };
    Line { name: name.to_owned(), cells, holds: holds(measured), figures: figures(measured) }
}

/// `ratio` is the whole time to `baseline`.
fn figures(measured: Measured) -> Value {
    match measured {
        Measured::Time { ns, bare, target } => json!({
            "unit": "ns above bare",
            "value": ns - bare,
            "baseline": bare,
            "ratio": ratio(ns, bare),
            "target": target,
        }),
        Measured::Instructions { count, target } => json!({
            "unit": "instructions",
            "value": count,
            "target": target,
        }),
    }
}

/// To two digits.
fn ratio(ns: i64, bare: i64) -> Option<f64> {
    let hundredths = u32::try_from((ns * 100).checked_div(bare)?).ok()?;
    Some(f64::from(hundredths) / 100.0)
}

fn holds(measured: Measured) -> Option<bool> {
    match measured {
        Measured::Time { ns, bare, target } => Some(ns - bare <= target?),
        Measured::Instructions { count, target } => Some(count? <= target),
    }
}
