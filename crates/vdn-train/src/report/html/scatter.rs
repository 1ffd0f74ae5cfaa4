//! Scatter charts, with one point per unit.

use crate::report::html::axes::{Frame, Scale, figure, nothing, put};

/// A scatter chart.
#[derive(Clone, Debug, Default)]
pub struct Scatter {
    /// The title, above the chart.
    pub title: String,
    /// The note below the chart.
    pub note: String,
    /// The label of the horizontal axis.
    pub x_label: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// The points.
    pub points: Vec<[f64; 2]>,
    /// Dashed lines to compare with.
    pub lines: Vec<Vec<[f64; 2]>>,
    /// Whether the vertical axis is logarithmic.
    pub logarithmic: bool,
    /// Whether the diagonal, where both coordinates are equal, is drawn.
    pub diagonal: bool,
}

impl Scatter {
    /// Draws the figure.
    pub fn draw(&self) -> String {
        let points: Vec<[f64; 2]> =
            self.points.iter().copied().filter(|p| p.iter().all(|x| x.is_finite())).collect();
        if points.is_empty() {
            return nothing(&self.title, &self.note);
        }
        let lines = || self.lines.iter().flatten();
        let [x_ends, y_ends] = Frame::ends(0);
        let frame = Frame {
            x: Scale::over(points.iter().chain(lines()).map(|p| p[0]), x_ends, false),
            y: Scale::over(points.iter().chain(lines()).map(|p| p[1]), y_ends, self.logarithmic),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
        };
        let mut out = String::new();
        frame.draw(&mut out);
        for [x, y] in &points {
            if let (Some(x), Some(y)) = (frame.x.at(*x), frame.y.at(*y)) {
                put(
                    &mut out,
                    format_args!("<circle class=\"o\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\"/>"),
                );
            }
        }
        for line in &self.lines {
            let mut path = String::new();
            for [x, y] in line {
                let (Some(x), Some(y)) = (frame.x.at(*x), frame.y.at(*y)) else { continue };
                let letter = if path.is_empty() { 'M' } else { 'L' };
                put(&mut path, format_args!("{letter}{x:.1} {y:.1}"));
            }
            put(&mut out, format_args!("<path class=\"l s1 d\" d=\"{path}\"/>"));
        }
        if self.diagonal {
            // The part of the diagonal inside both axes.
            let end = |i: usize, pick: fn(f64, f64) -> f64, start: f64| {
                points.iter().map(|p| p[i]).fold(start, pick)
            };
            let low = [0, 1].map(|i| end(i, f64::min, f64::INFINITY));
            let high = [0, 1].map(|i| end(i, f64::max, f64::NEG_INFINITY));
            let (low, high) = (low[0].max(low[1]), high[0].min(high[1]));
            let ends = [low, high].map(|v| Some([frame.x.at(v)?, frame.y.at(v)?]));
            if let ([Some([x0, y0]), Some([x1, y1])], true) = (ends, low < high) {
                let line = format_args!("M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}");
                put(&mut out, format_args!("<path class=\"l k d\" d=\"{line}\"/>"));
            }
        }
        figure(&self.title, &self.note, &out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagonal_stays_inside_both_axes() {
        let points = vec![[0.0, 0.5], [1.0, 0.7], [f64::NAN, 1.0]];
        let chart = Scatter { title: "t".into(), points, diagonal: true, ..Scatter::default() };
        let svg = chart.draw();
        assert_eq!(
            (svg.matches("<circle").count(), svg.matches("class=\"l k d\"").count()),
            (2, 1)
        );
        // No part of the line where values are above or below all of the others.
        let apart = Scatter { points: vec![[0.0, 5.0], [1.0, 6.0]], ..chart };
        assert_eq!(apart.draw().matches("class=\"l k d\"").count(), 0);
    }
}
