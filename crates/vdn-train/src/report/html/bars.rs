//! Bars over bins for histograms.

use crate::report::html::axes::{
    Entry, Frame, Scale, figure, legend, legend_lines, nothing, put, tip,
};
use crate::report::html::number;

/// A histogram.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// The title, above the chart.
    pub title: String,
    /// The note below the chart.
    pub note: String,
    /// The label of the horizontal axis.
    pub x_label: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// The edges of the bins in ascending order, one more than there are heights.
    pub edges: Vec<f64>,
    /// The heights of the bins.
    pub heights: Vec<f64>,
    /// A height to compare with, if any.
    pub expected: Option<f64>,
    /// A marked position on the horizontal axis, inside or outside the bins, and its name.
    pub mark: Option<(f64, String)>,
}

impl Bars {
    /// The histogram of `values` with `bins` bins. Values that are not finite are left out.
    pub fn of(values: &[f64], bins: usize) -> Self {
        let finite = || values.iter().copied().filter(|x| x.is_finite());
        let (low, high) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if low > high {
            return Self::default();
        }
        let high = if high > low { high } else { low + low.abs().max(1.0) * 1e-3 };
        let width = (high - low) / bins as f64;
        let mut heights = vec![0.0; bins];
        for x in finite() {
            heights[(((x - low) / width) as usize).min(bins - 1)] += 1.0;
        }
        let edges = (0..=bins).map(|i| low + width * i as f64).collect();
        Self { edges, heights, ..Self::default() }
    }

    /// Draws the figure.
    pub fn draw(&self) -> String {
        let (Some(&first), Some(&last)) = (self.edges.first(), self.edges.last()) else {
            return nothing(&self.title, &self.note);
        };
        let mark = self.mark.as_ref().filter(|(x, _)| x.is_finite());
        let name = mark.map(|(x, name)| format!("{name}: {}", number(*x))).unwrap_or_default();
        let entries: Vec<Entry<'_>> =
            mark.map(|_| (&name[..], "l s1".to_owned())).into_iter().collect();
        let [x_ends, y_ends] = Frame::ends(legend_lines(&entries));
        let highest = self.heights.iter().copied().chain(self.expected).fold(0.0, f64::max);
        let top = if highest > 0.0 { 1.05 * highest } else { 1.0 };
        let frame = Frame {
            x: match mark {
                Some((x, _)) if *x < first || *x > last => {
                    Scale::over([first, last, *x].into_iter(), x_ends, false)
                }
                _ => Scale::exact([first, last], x_ends),
            },
            y: Scale::exact([0.0, top], y_ends),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
        };
        let mut out = String::new();
        frame.draw(&mut out);
        for (edges, &height) in self.edges.windows(2).zip(&self.heights) {
            let (Some(left), Some(right), Some(y)) =
                (frame.x.at(edges[0]), frame.x.at(edges[1]), frame.y.at(height))
            else {
                continue;
            };
            let (width, tall) = ((right - left - 1.0).max(0.5), y_ends[0] - y);
            let tip = tip(&self.y_label, 0.5 * (edges[0] + edges[1]), height);
            put(
                &mut out,
                format_args!(
                    "<rect class=\"f b9\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\">{tip}</rect>"
                ),
            );
        }
        if let Some(y) = self.expected.and_then(|height| frame.y.at(height)) {
            put(
                &mut out,
                format_args!("<path class=\"l k d\" d=\"M{} {y:.1}H{}\"/>", x_ends[0], x_ends[1]),
            );
        }
        if let Some(x) = mark.and_then(|(x, _)| frame.x.at(*x)) {
            let path = format_args!("M{x:.1} {}V{}", y_ends[0], y_ends[1]);
            put(&mut out, format_args!("<path class=\"l s1\" d=\"{path}\"/>"));
        }
        legend(&mut out, &entries);
        figure(&self.title, &self.note, &out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_in_one_bin() {
        let bars = Bars::of(&[0.0, 1.0, 1.0, 2.0, f64::INFINITY, f64::NAN], 4);
        assert_eq!(bars.heights, [1.0, 0.0, 2.0, 1.0]);
        assert_eq!(bars.edges, [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(Bars::of(&[3.0, 3.0], 3).heights.iter().sum::<f64>(), 2.0);
        // A mark beyond the bins is on the axis, too, and is named with its place.
        for (mark, side) in [(0.5, 0), (5.0, 1), (-3.0, -1)] {
            let marked = Bars { mark: Some((mark, "observed".to_owned())), ..bars.clone() };
            let svg = marked.draw();
            assert!(svg.contains(&format!(">observed: {}<", number(mark))), "{svg}");
            let places = |start: &str| -> Vec<f64> {
                let ends = svg.split(start).skip(1);
                ends.map(|rest| rest.split(['"', ' ']).next().unwrap().parse().unwrap()).collect()
            };
            let line = places("class=\"l s1\" d=\"M")[0];
            let bins = places("<rect class=\"f b9\" x=\"");
            assert_eq!(line > bins[0], side >= 0, "{mark}: {line} {bins:?}");
            assert_eq!(line > bins[3], side > 0, "{mark}: {line} {bins:?}");
        }
        assert!(Bars::of(&[], 3).draw().contains("no numbers"));
    }
}
