//! How long it takes until each of many claimants has a name of its own; and what those cost who hold one.

mod row;

mod crowd;
mod holders;
mod rivals;
mod site;
mod subject;

mod report;

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use nsid_tests::{etcd::Etcd, zookeeper::ZooKeeper};
use nsid_user::store::Kind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use self::{
    crowd::Least,
    row::{Row, rows},
    site::Site,
    subject::{Subject, Witnesses},
};
use crate::{
    progress::progress,
    table::{Line, Printer, Table},
};

/// In the report's order.
const STORES: [Kind; 3] = [Kind::Etcd, Kind::ZooKeeper, Kind::Peers];

/// Which rows.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the report is written, anew with each row; it keeps the others as they stand there
    #[arg(long, value_name = "FILE", default_value = "docs/bench/claims.md")]
    to: PathBuf,

    /// Measure only the rows whose name contains this
    #[arg(value_name = "ROW")]
    filter: Option<String>,
}

/// Measures the small crowds on etcd that are wanted, as part of a bench of everything.
pub(crate) fn small(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let rows: Vec<Row> =
        rows(Kind::Etcd).into_iter().filter(|row| row.is_small() && wanted(&row.to_string())).collect();
    let mut lines = Vec::new();
    measure::<Etcd>(&rows, &mut |_, line| {
        lines.push(line);
        Ok(())
    })?;
    Ok(Table { heading: crowd::HEADING, lines })
}

/// Measures crowds of all sizes, rivals and holders on each store, and prints each row as soon as it is there.
pub(crate) fn claims(Arguments { to, filter }: &Arguments) -> Result<()> {
    let is_wanted = |row: &Row| filter.as_ref().is_none_or(|filter| row.to_string().contains(filter));
    let of = |store| rows(store).into_iter().filter(is_wanted).collect::<Vec<_>>();
    let [etcd, zookeeper, peers] = STORES.map(of);
    let names = || etcd.iter().chain(&zookeeper).chain(&peers).map(Row::to_string);
    ensure!(names().next().is_some(), "no row's name contains `{}`", filter.as_deref().unwrap_or_default());
    let mut printer = Printer::new(names());
    let all: Vec<String> = STORES.into_iter().flat_map(rows).map(|row| row.to_string()).collect();
    let earlier = fs::read_to_string(to).unwrap_or_default();
    let mut lines = Vec::new();
    let mut add = |heading, line: Line| {
        printer.print(heading, &line);
        lines.push(line);
        Ok(fs::write(to, report::report(&all, &lines, &earlier))?)
    };
    measure::<Etcd>(&etcd, &mut add)?;
    measure::<ZooKeeper>(&zookeeper, &mut add)?;
    measure::<Witnesses>(&peers, &mut add)
}

/// Those rows, each on a server of its own: what is left of others ends there when it will.
fn measure<S: Subject + Sync>(
    rows: &[Row],
    add: &mut impl FnMut(&'static [&'static str], Line) -> Result<()>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    allow_many_connections()?;
    let mut least = Least::default();
    for row in rows {
        let measured = Site::<S>::new().and_then(|site| site.measure(row));
        let (heading, mut line) = measured.unwrap_or_else(|error| (crowd::HEADING, unmeasured(row, &error)));
        least.compare(row, &mut line);
        add(heading, line)?;
    }
    Ok(())
}

/// One whose claimants failed, or did not come to their end.
fn unmeasured(row: &Row, error: &anyhow::Error) -> Line {
    progress(format_args!("{row}: {error:#}"));
    Line {
        name: row.to_string(),
        cells: vec!["failed".to_owned()],
        holds: Some(false),
        figures: json!({ "unit": null, "value": null, "target": null }),
    }
}

/// To this process, and to those that it starts.
fn allow_many_connections() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
