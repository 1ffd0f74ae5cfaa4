//! Lines over a common axis with areas between lines, for histories and fan charts.

use crate::report::html::axes::{
    Entry, Frame, Scale, figure, legend, legend_lines, nothing, put, tip,
};

/// A line.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// The points from left to right. A point that is not finite leaves a gap.
    pub points: Vec<[f64; 2]>,
    /// Whether the line is dashed, for a limit instead of a measurement.
    pub dashed: bool,
}

/// The area between a lower and an upper line.
#[derive(Clone, Debug, Default)]
pub struct Band {
    /// The name in the legend.
    pub name: String,
    /// The position, the lower end and the upper end of each point.
    pub points: Vec<[f64; 3]>,
}

/// Thin lines under one name, such as sampled paths.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// The name in the legend, shown once.
    pub name: String,
    /// The points of each line from left to right. A point that is not finite leaves a gap.
    pub lines: Vec<Vec<[f64; 2]>>,
}

/// A chart of lines and areas.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    /// The title, above the chart.
    pub title: String,
    /// The note below the chart, which explains it to a new reader.
    pub note: String,
    /// The label of the horizontal axis.
    pub x_label: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// The areas, the widest first.
    pub bands: Vec<Band>,
    /// Thin lines, drawn above areas and below other lines.
    pub traces: Traces,
    /// The lines.
    pub series: Vec<Series>,
    /// A marked position, and its name.
    pub mark: Option<(f64, String)>,
    /// Whether the vertical axis is logarithmic.
    pub logarithmic: bool,
}

/// The number of colours of lines.
const COLOURS: usize = 5;
/// The largest number of points at which each point is drawn with a tooltip.
const POINTS: usize = 60;

impl LineChart {
    /// Draws the figure.
    pub fn draw(&self) -> String {
        let finite = |points: &[[f64; 2]]| points.iter().any(|p| p.iter().all(|x| x.is_finite()));
        if !self.series.iter().any(|s| finite(&s.points)) {
            return nothing(&self.title, &self.note);
        }
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for (i, series) in self.series.iter().enumerate() {
            let dash = if series.dashed { " d" } else { "" };
            entries.push((&series.name, format!("l s{}{dash}", i % COLOURS)));
        }
        for (i, band) in self.bands.iter().enumerate() {
            entries.push((&band.name, format!("f b{i}")));
        }
        if !self.traces.lines.is_empty() {
            entries.push((&self.traces.name, "y".to_owned()));
        }
        if let Some((_, name)) = &self.mark {
            entries.push((name, "l k".to_owned()));
        }
        let one = self.series.len() == 1 && entries.len() == 1;
        let entries = if one { &[][..] } else { &entries[..] };
        let [x_ends, y_ends] = Frame::ends(legend_lines(entries));
        let traces = || self.traces.lines.iter().flatten();
        let lines = || self.series.iter().flat_map(|s| &s.points).chain(traces()).copied();
        let areas = || self.bands.iter().flat_map(|b| b.points.iter().copied());
        let frame = Frame {
            x: Scale::over(lines().map(|p| p[0]).chain(areas().map(|p| p[0])), x_ends, false),
            y: Scale::over(
                lines().map(|p| p[1]).chain(areas().flat_map(|p| [p[1], p[2]])),
                y_ends,
                self.logarithmic,
            ),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
        };
        let mut out = String::new();
        frame.draw(&mut out);
        for (i, band) in self.bands.iter().enumerate() {
            area(&mut out, &frame, band, i);
        }
        for points in &self.traces.lines {
            let path = path(&frame, points);
            put(&mut out, format_args!("<path class=\"y\" d=\"{path}\"/>"));
        }
        if let Some(x) = self.mark.as_ref().and_then(|(x, _)| frame.x.at(*x)) {
            put(
                &mut out,
                format_args!("<path class=\"l k\" d=\"M{x:.1} {}V{}\"/>", y_ends[0], y_ends[1]),
            );
        }
        for (i, series) in self.series.iter().enumerate() {
            line(&mut out, &frame, series, i);
        }
        legend(&mut out, entries);
        figure(&self.title, &self.note, &out)
    }
}

fn area(out: &mut String, frame: &Frame, band: &Band, index: usize) {
    let place = |x: f64, y: f64| Some([frame.x.at(x)?, frame.y.at(y)?]);
    let lower = band.points.iter().filter_map(|&[x, low, _]| place(x, low));
    let upper = band.points.iter().rev().filter_map(|&[x, _, high]| place(x, high));
    let mut path = String::new();
    for [x, y] in lower.chain(upper) {
        let letter = if path.is_empty() { 'M' } else { 'L' };
        put(&mut path, format_args!("{letter}{x:.1} {y:.1}"));
    }
    if !path.is_empty() {
        put(out, format_args!("<path class=\"f b{index}\" d=\"{path}Z\"/>"));
    }
}

/// The path through points, with a gap at each point without a position.
fn path(frame: &Frame, points: &[[f64; 2]]) -> String {
    let (mut path, mut open) = (String::new(), false);
    for &[x, y] in points {
        let (Some(x), Some(y)) = (frame.x.at(x), frame.y.at(y)) else {
            open = false;
            continue;
        };
        let letter = if open { 'L' } else { 'M' };
        put(&mut path, format_args!("{letter}{x:.1} {y:.1}"));
        open = true;
    }
    path
}

fn line(out: &mut String, frame: &Frame, series: &Series, index: usize) {
    let colour = index % COLOURS;
    let mut points = String::new();
    if series.points.len() <= POINTS {
        for &[x, y] in &series.points {
            let (Some(at_x), Some(at_y)) = (frame.x.at(x), frame.y.at(y)) else { continue };
            let tip = tip(&series.name, x, y);
            // A limit has tooltips but no visible marks.
            let class = if series.dashed { "h".to_owned() } else { format!("p s{colour}") };
            let place = format_args!("cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"2\"");
            put(&mut points, format_args!("<circle class=\"{class}\" {place}>{tip}</circle>"));
        }
    }
    let (dash, path) = (if series.dashed { " d" } else { "" }, path(frame, &series.points));
    put(out, format_args!("<path class=\"l s{colour}{dash}\" d=\"{path}\"/>{points}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_gaps_and_nothing_is_said_to_be_nothing() {
        let points = vec![[1.0, 1.0], [2.0, f64::NAN], [3.0, 2.0], [4.0, 3.0]];
        let series = vec![Series { name: "a<b".into(), points, dashed: false }];
        let chart = LineChart { title: "t".into(), series, ..LineChart::default() };
        let svg = chart.draw();
        let path = svg.split("class=\"l s0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a&lt;b: 1.000, 1.000") && !svg.contains("NaN"));
        // Thin lines are named once, and widen the axes.
        let lines = vec![vec![[0.0, -5.0], [4.0, 9.0]], vec![[0.0, 1.0], [f64::NAN, 2.0]]];
        let traces = Traces { name: "paths".into(), lines };
        let svg = LineChart { traces, ..chart }.draw();
        assert_eq!((svg.matches(">paths<").count(), svg.matches("class=\"y\"").count()), (1, 3));
        let inside = svg.split("class=\"y\" d=\"M").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(inside.matches('L').count(), 1);
        assert!(svg.contains(">\u{2212}5<"), "the axis does not reach the thin lines: {svg}");
        let empty = LineChart { title: "t".into(), ..LineChart::default() };
        assert!(empty.draw().contains("no numbers"));
    }
}
