//! Measures: many short rounds of all rows, each run beside one of the bare program, and of all the shortest. Whatever
//! else the machine does makes a run longer, never shorter, and a clock that drifts does so for both.

use anyhow::{Result, ensure};
use nsid_common::outcome::Outcome;
use nsid_user::datapath::{Prog, TestRun};

use super::{
    rows::{Hook, Program, Row, Run, What},
    stage::Stage,
};
use crate::progress::progress;

/// Of one run. The kernel tells the mean in whole ns.
const REPEAT: u32 = 1_000_000;
const ROUNDS: u32 = 7;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured {
    /// Nanoseconds of one run, and of one of the bare program; the target is what may lie between.
    Time { ns: i64, bare: i64, target: Option<i64> },
    /// Instructions, if the kernel tells, and the most there should be.
    Instructions { count: Option<i64>, target: i64 },
}

/// Measures the rows, by their names.
pub(crate) fn measure(stage: &mut Stage, rows: &[Row]) -> Result<Vec<(&'static str, Measured)>> {
    for row in rows {
        check(stage, row)?;
    }
    let mut lines = rows.iter().map(|row| before(stage, row)).collect::<Result<Vec<_>>>()?;
    for round in 1..=ROUNDS {
        progress(format_args!("programs: round {round} of {ROUNDS}"));
        for (row, (_, measured)) in rows.iter().zip(&mut lines) {
            if let (What::Time(run), Measured::Time { ns, bare, .. }) = (&row.what, measured) {
                *bare = (*bare).min(time(&bare_run(stage, run.hook, &run.frame, REPEAT)?));
                *ns = (*ns).min(time(&one(stage, run, REPEAT)?));
            }
        }
    }
    Ok(lines)
}

/// A row's line before the first round.
fn before(stage: &Stage, row: &Row) -> Result<(&'static str, Measured)> {
    let measured = match &row.what {
        What::Time(run) => Measured::Time { ns: i64::MAX, bare: i64::MAX, target: run.target },
        What::Instructions(program, target) => {
            let count = stage.datapath.verified_instructions(*program)?.map(i64::from);
            Measured::Instructions { count, target: *target }
        }
    };
    Ok((row.name, measured))
}

/// Whether a program does, every time that it is repeated, what the row says.
fn check(stage: &mut Stage, Row { name, what }: &Row) -> Result<()> {
    const REPEAT: u32 = 100;
    let What::Time(run) = what else { return Ok(()) };
    let before = counted(stage, run.outcome)?;
    let TestRun { action, frame, .. } = one(stage, run, REPEAT)?;
    let wanted = match run.program {
        Program::Shipped(_) => run.hook.pass(),
        Program::Bench(_, action) => action,
    };
    ensure!(action == wanted, "{name}: the program returned {action}, not {wanted}");
    let restored = run.restored.as_ref().unwrap_or(&run.frame);
    ensure!(frame.starts_with(restored), "{name}: the frame is not what it was: {frame:02x?}");
    let counted = counted(stage, run.outcome)? - before;
    let wanted = run.outcome.map_or(0, |_| u64::from(REPEAT));
    ensure!(counted == wanted, "{name}: {counted} of {wanted} are {:?}", run.outcome);
    Ok(())
}

fn counted(stage: &Stage, wanted: Option<Outcome>) -> Result<u64> {
    let outcomes = stage.datapath.maps.outcomes()?;
    Ok(outcomes.into_iter().filter(|(outcome, _)| Some(*outcome) == wanted).map(|(_, count)| count).sum())
}

/// One run of a row, with what has to be so before it.
fn one(stage: &mut Stage, run: &Run, repeat: u32) -> Result<TestRun> {
    if let Some(frame) = &run.restored {
        stage.bench.restore(frame)?;
    }
    if let Some(query) = &run.noted {
        stage.datapath.test_run(Prog::Xdp, query, 1)?;
    }
    Ok(match run.program {
        Program::Shipped(program) => stage.datapath.test_run(program, &run.frame, repeat)?,
        Program::Bench(program, _) => stage.bench.test_run(program, &run.frame, repeat)?,
    })
}

fn bare_run(stage: &Stage, hook: Hook, frame: &[u8], repeat: u32) -> Result<TestRun> {
    Ok(stage.bench.test_run(hook.bare(), frame, repeat)?)
}

fn time(run: &TestRun) -> i64 {
    i64::try_from(run.duration.as_nanos()).unwrap_or(i64::MAX)
}
