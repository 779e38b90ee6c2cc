//! The plots, as SVG.

use std::{ops::Range, path::Path};

use anyhow::Result;
use plotters::{
    chart::{ChartContext, MeshStyle},
    coord::{
        combinators::LogCoord,
        ranged1d::{AsRangedCoord, ValueFormatter},
        types::RangedCoordf64,
    },
    drawing::DrawingAreaErrorKind,
    prelude::{
        BLACK, Cartesian2d, ChartBuilder, Circle, Color as _, IntoDrawingArea as _, IntoLogRange as _,
        LineSeries, PathElement, RGBColor, Rectangle, SVGBackend, SeriesLabelPosition, WHITE,
    },
};

use super::{
    line_rate::LINKS,
    load::Load,
    results::{Results, Sample, Spread},
    subject::Subject,
};

/// Answers by queries.
pub(crate) const GOODPUT: &str = "goodput.svg";
/// CPUs by link.
pub(crate) const LINE_RATE: &str = "line-rate.svg";

const SIZE: (u32, u32) = (800, 500);
const FONT: &str = "sans-serif";

/// Of Okabe and Ito: told apart by everybody.
const COLOURS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(100, 100, 100),
];

type Chart<'a, X> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, LogCoord<f64>>>;
type Mesh<'a, 'b, X> = MeshStyle<'a, 'b, X, LogCoord<f64>, SVGBackend<'a>>;

type DrawResult = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws all.
pub(crate) fn draw(results: &Results, directory: &Path) -> Result<()> {
    goodput(results, &directory.join(GOODPUT))?;
    line_rate(results, &directory.join(LINE_RATE))
}

/// Both axes are logarithmic.
fn goodput(results: &Results, file: &Path) -> Result<()> {
    const CAPTION: &str = "Answers by queries a second; the last point of each is the flood";
    const QUERIES: Range<f64> = 8e3..8e6;
    const ANSWERS: Range<f64> = 1e3..4e6;
    let axes = |mesh: &mut Mesh<'_, '_, LogCoord<f64>>| {
        mesh.x_desc("queries a second")
            .y_desc("answers a second, as they should be")
            .x_label_formatter(&|rate| short(*rate))
            .y_label_formatter(&|rate| short(*rate))
            .draw()
    };
    plot(file, CAPTION, QUERIES.log_scale(), ANSWERS, axes, |chart| {
        for (subject, colour) in Subject::ALL.into_iter().zip(COLOURS) {
            let open = Load::ALL.into_iter().filter(|load| !matches!(load, Load::InFlight(_)));
            let points: Vec<_> = open
                .map(|load| {
                    let rounds = results.rounds(subject, load);
                    let median = |rate: fn(&Sample) -> f64| Spread::of(rounds.iter().map(rate)).median;
                    (median(Sample::offered), median(Sample::goodput))
                })
                .collect();
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(subject.title())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
        }
        Ok(())
    })
}

/// A group of bars for each link.
fn line_rate(results: &Results, file: &Path) -> Result<()> {
    const CAPTION: &str = "CPUs that fill a link with such frames";
    const WIDTH: f64 = 0.25;
    const CPUS: Range<f64> = 0.1..100.0;
    let axes = |mesh: &mut Mesh<'_, '_, RangedCoordf64>| {
        mesh.disable_x_mesh()
            .x_labels(2 * LINKS.len() + 1)
            .x_label_formatter(&|place| {
                let link = LINKS.iter().zip([0.5, 1.5, 2.5]).find(|(_, at)| f64::abs(at - place) < 0.01);
                link.map_or(String::new(), |(link, _)| format!("{link} GbE"))
            })
            .y_desc("CPUs")
            .y_label_formatter(&|cpus| format!("{cpus}"))
            .draw()
    };
    plot(file, CAPTION, 0.0..3.0, CPUS, axes, |chart| {
        for ((path, colour), left) in results.paths.iter().zip(COLOURS).zip([0.125, 0.375, 0.625]) {
            let bars = LINKS.iter().zip([0.0, 1.0, 2.0]).map(|(link, group)| {
                let from = group + left;
                Rectangle::new([(from, CPUS.start), (from + WIDTH * 0.9, path.cpus(*link))], colour.filled())
            });
            chart
                .draw_series(bars)?
                .label(&path.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], colour.filled()));
        }
        Ok(())
    })
}

/// A plot with a logarithmic vertical axis: its axes, what is in it, and a legend.
fn plot<X>(
    file: &Path,
    caption: &str,
    horizontal: X,
    vertical: Range<f64>,
    axes: impl FnOnce(&mut Mesh<'_, '_, X::CoordDescType>) -> DrawResult,
    series: impl FnOnce(&mut Chart<'_, X::CoordDescType>) -> DrawResult,
) -> Result<()>
where
    X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
{
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, (FONT, 18))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(60)
        .build_cartesian_2d(horizontal, vertical.log_scale())?;
    axes(chart.configure_mesh().light_line_style(WHITE))?;
    series(&mut chart)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

/// `20 k`, `2 M`.
fn short(number: f64) -> String {
    if number >= 1e6 { format!("{} M", number / 1e6) } else { format!("{} k", number / 1e3) }
}
