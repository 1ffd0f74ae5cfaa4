//! Points: one per unit.

use super::axes::{Frame, Scale, figure, nothing, put};

/// Points in a plane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scatter {
    /// Above it.
    pub(crate) title: String,
    /// Below it.
    pub(crate) note: String,
    /// Under the horizontal axis.
    pub(crate) x_label: String,
    /// Beside the vertical axis.
    pub(crate) y_label: String,
    /// The points.
    pub(crate) points: Vec<[f64; 2]>,
    /// Whether the line where both are equal is drawn.
    pub(crate) diagonal: bool,
}

impl Scatter {
    /// The figure.
    pub(crate) fn draw(&self) -> String {
        let points: Vec<[f64; 2]> =
            self.points.iter().copied().filter(|p| p.iter().all(|x| x.is_finite())).collect();
        if points.is_empty() {
            return nothing(&self.title, &self.note);
        }
        let [x_ends, y_ends] = Frame::ends(0);
        let frame = Frame {
            x: Scale::over(points.iter().map(|p| p[0]), x_ends, false),
            y: Scale::over(points.iter().map(|p| p[1]), y_ends, false),
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
        if self.diagonal {
            let low = points.iter().map(|p| p[0]).fold(f64::INFINITY, f64::min);
            let high = points.iter().map(|p| p[0]).fold(f64::NEG_INFINITY, f64::max);
            let ends = [low, high].map(|v| Some([frame.x.at(v)?, frame.y.at(v)?]));
            if let [Some([x0, y0]), Some([x1, y1])] = ends {
                let (top, bottom) = (y_ends[1], y_ends[0]);
                if (top..=bottom).contains(&y0) || (top..=bottom).contains(&y1) {
                    put(
                        &mut out,
                        format_args!(
                            "<path class=\"l k d\" d=\"M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}\"/>"
                        ),
                    );
                }
            }
        }
        figure(&self.title, &self.note, &out)
    }
}
