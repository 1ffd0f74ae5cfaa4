//! An image of a matrix with one pixel per cell, for units over epochs.

use crate::report::html::axes::{Frame, Scale, figure, nothing, put};
use crate::report::html::{number, png};

/// A colour image of a matrix.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    /// The title, above the chart.
    pub title: String,
    /// The note below the chart.
    pub note: String,
    /// The label of the horizontal axis.
    pub x_label: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// The numbers of the first and last column.
    pub columns: [f64; 2],
    /// The rows, all of the same length.
    pub rows: Vec<Vec<f64>>,
    /// The values at the ends of the colour scale. Values beyond an end have its colour.
    pub range: [f64; 2],
}

/// The colour scale from dark blue through green to yellow, with ascending lightness. It is
/// readable without colours, on a light and on a dark background.
const RAMP: [[f64; 3]; 5] = [
    [38.0, 24.0, 74.0],
    [44.0, 84.0, 132.0],
    [36.0, 141.0, 132.0],
    [122.0, 195.0, 84.0],
    [250.0, 226.0, 62.0],
];

/// The colour of a share in `[0, 1]`; grey for NaN.
fn colour(share: f64) -> [u8; 3] {
    if share.is_nan() {
        return [128; 3];
    }
    let at = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let low = (at as usize).min(RAMP.len() - 2);
    let part = at - low as f64;
    let mut out = [0; 3];
    for (out, (a, b)) in out.iter_mut().zip(RAMP[low].iter().zip(RAMP[low + 1])) {
        *out = (a + part * (b - a)).round() as u8;
    }
    out
}

impl HeatMap {
    /// Draws the figure.
    pub fn draw(&self) -> String {
        let width = self.rows.first().map_or(0, Vec::len);
        if width == 0 || self.rows.iter().any(|row| row.len() != width) {
            return nothing(&self.title, &self.note);
        }
        let [low, high] = self.range;
        let share = |x: &f64| (x - low) / (high - low);
        let pixels: Vec<[u8; 3]> = self.rows.iter().flatten().map(|x| colour(share(x))).collect();
        let [x_ends, y_ends] = Frame::ends(1);
        let rows = self.rows.len() as f64;
        let frame = Frame {
            x: Scale::exact([self.columns[0] - 0.5, self.columns[1] + 0.5], x_ends),
            y: Scale::exact([rows, 0.0], y_ends),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
        };
        let mut out = String::new();
        frame.draw(&mut out);
        let picture = |x: f64, y: f64, w: f64, h: f64, uri: &str| {
            format!(
                "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"{uri}\"/>"
            )
        };
        let uri = png::data_uri(width, &pixels);
        out += &picture(x_ends[0], y_ends[1], x_ends[1] - x_ends[0], y_ends[0] - y_ends[1], &uri);
        let ramp: Vec<[u8; 3]> = (0..64).map(|i| colour(f64::from(i) / 63.0)).collect();
        out += &picture(x_ends[0] + 40.0, 3.0, 120.0, 9.0, &png::data_uri(64, &ramp));
        put(
            &mut out,
            format_args!(
                "<text x=\"{}\" y=\"11\" class=\"e\">{}</text>",
                x_ends[0] + 36.0,
                number(low)
            ),
        );
        put(
            &mut out,
            format_args!("<text x=\"{}\" y=\"11\">{}</text>", x_ends[0] + 164.0, number(high)),
        );
        figure(&self.title, &self.note, &out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_ascend_in_lightness() {
        let light = |[r, g, b]: [u8; 3]| {
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        let lights: Vec<f64> = (0..=20).map(|i| light(colour(f64::from(i) / 20.0))).collect();
        assert!(lights.windows(2).all(|w| w[1] > w[0]), "{lights:?}");
        assert_eq!(colour(f64::NAN), [128; 3]);
        assert_eq!((colour(-3.0), colour(7.0)), (colour(0.0), colour(1.0)));
    }
}
