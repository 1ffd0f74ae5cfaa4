//! The frame of a chart: scales, ticks, grid, labels, legend.

use crate::report::html::{escape, number};
use std::fmt::Write;

/// The size of every chart in user units. The page shows it with about this many pixels.
pub(super) const WIDTH: f64 = 360.0;
pub(super) const HEIGHT: f64 = 220.0;
/// The space for axis labels on each side.
pub(super) const LEFT: f64 = 62.0;
pub(super) const RIGHT: f64 = 10.0;
pub(super) const TOP: f64 = 10.0;
pub(super) const BOTTOM: f64 = 34.0;
/// The height of one line of a legend.
const LEGEND: f64 = 15.0;
/// The number of ticks that fit on an axis.
const TICKS: usize = 5;

/// Maps numbers to positions on an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    /// An axis from `from` to `to` that includes all finite `values` (only positive ones if it is
    /// logarithmic).
    pub(super) fn over(
        values: impl Iterator<Item = f64>,
        [from, to]: [f64; 2],
        logarithmic: bool,
    ) -> Self {
        let place = |x: f64| if logarithmic { x.log10() } else { x };
        let (mut low, mut high) = values
            .map(place)
            .filter(|x| x.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = high - low;
        // If all values are equal, add some room around them.
        let room = if span > 1e-12 * high.abs().max(1e-300) {
            0.04 * span
        } else {
            0.5 * if high == 0.0 { 1.0 } else { high.abs() }
        };
        // The added room does not extend an axis beyond zero.
        let bottom = if low >= 0.0 && !logarithmic { (low - room).max(0.0) } else { low - room };
        Self { low: bottom, high: high + room, from, to, logarithmic }
    }

    /// An axis that runs exactly from `low` to `high`.
    pub(super) fn exact([low, high]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        Self { low, high, from, to, logarithmic: false }
    }

    /// The position of a number; `None` if it has none.
    pub(super) fn at(&self, x: f64) -> Option<f64> {
        let x = if self.logarithmic { x.log10() } else { x };
        let share = (x - self.low) / (self.high - self.low);
        share.is_finite().then_some(self.from + share * (self.to - self.from))
    }

    /// Round numbers on the axis.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
            if last > first {
                let every = ((last - first) as usize).div_ceil(TICKS).max(1);
                return (first..=last).step_by(every).map(|e| 10_f64.powi(e)).collect();
            }
            let ends = [self.low, self.high].map(|x| 10_f64.powf(x));
            return round_numbers(ends[0], ends[1]);
        }
        round_numbers(self.low, self.high)
    }
}

/// At most [`TICKS`] + 2 multiples of 1, 2 or 5 times a power of ten.
fn round_numbers(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / (TICKS + 1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw * 0.999);
    let step = step.unwrap_or(10.0 * power);
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last.min(first + 2 * TICKS as i64)).map(|i| i as f64 * step).collect()
}

/// The distance between ticks near `tick`. Powers of ten are distinguished by their exponents.
fn spacing(ticks: &[f64], tick: f64) -> f64 {
    match ticks {
        // A multiple of a step is at most twice its lower neighbour.
        [a, b, ..] if *a > 0.0 && b / a > 9.0 => tick,
        [a, b, ..] => b - a,
        [only] => *only,
        [] => 1.0,
    }
}

/// The label of a tick, with the fewest digits that distinguish it from its neighbours.
fn tick_label(x: f64, step: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&x.abs()) {
        let digits = (x.abs().log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
        return format!("{x:.digits$e}").replace('-', "\u{2212}");
    }
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{x:.digits$}").replace('-', "\u{2212}")
}

/// A chart's frame with its two axes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) x_label: String,
    pub(super) y_label: String,
}

impl Frame {
    /// The ends of the axes, below a legend of `legend` lines.
    pub(super) fn ends(legend: usize) -> [[f64; 2]; 2] {
        let top = TOP + LEGEND * legend as f64;
        [[LEFT, WIDTH - RIGHT], [HEIGHT - BOTTOM, top]]
    }

    /// Draws the grid, ticks and labels.
    pub(super) fn draw(&self, out: &mut String) {
        let ([left, right], [bottom, top]) = ([self.x.from, self.x.to], [self.y.from, self.y.to]);
        let ticks = self.y.ticks();
        for tick in &ticks {
            let Some(y) = self.y.at(*tick) else { continue };
            let label = tick_label(*tick, spacing(&ticks, *tick));
            put(out, format_args!("<path class=\"g\" d=\"M{left} {y:.1}H{right}\"/>"));
            put(
                out,
                format_args!(
                    "<text x=\"{}\" y=\"{:.1}\" class=\"e\">{label}</text>",
                    left - 4.0,
                    y + 3.5
                ),
            );
        }
        let ticks = self.x.ticks();
        for tick in &ticks {
            let Some(x) = self.x.at(*tick) else { continue };
            let label = tick_label(*tick, spacing(&ticks, *tick));
            put(out, format_args!("<path class=\"g\" d=\"M{x:.1} {bottom}V{top}\"/>"));
            put(
                out,
                format_args!(
                    "<text x=\"{x:.1}\" y=\"{}\" class=\"m\">{label}</text>",
                    bottom + 13.0
                ),
            );
        }
        put(out, format_args!("<path class=\"a\" d=\"M{left} {top}V{bottom}H{right}\"/>"));
        let middle = 0.5 * (left + right);
        put(
            out,
            format_args!(
                "<text x=\"{middle}\" y=\"{}\" class=\"m\">{}</text>",
                bottom + 28.0,
                escape(&self.x_label)
            ),
        );
        let middle = 0.5 * (top + bottom);
        put(
            out,
            format_args!(
                "<text class=\"m\" transform=\"translate(11 {middle}) rotate(-90)\">{}</text>",
                escape(&self.y_label)
            ),
        );
    }
}

/// An entry of a legend: a name, and the class of its mark.
pub(super) type Entry<'a> = (&'a str, String);

/// The number of lines of a legend.
pub(super) fn legend_lines(entries: &[Entry<'_>]) -> usize {
    legend_places(entries).last().map_or(0, |(line, _)| line + 1)
}

/// The line and the position in it of each entry.
fn legend_places(entries: &[Entry<'_>]) -> Vec<(usize, f64)> {
    let (mut line, mut x) = (0, LEFT);
    let mut places = Vec::with_capacity(entries.len());
    for (name, _) in entries {
        let width = 28.0 + 6.2 * name.chars().count() as f64;
        if x + width > WIDTH && x > LEFT {
            (line, x) = (line + 1, LEFT);
        }
        places.push((line, x));
        x += width;
    }
    places
}

/// Draws a legend above the axes.
pub(super) fn legend(out: &mut String, entries: &[Entry<'_>]) {
    for ((name, class), (line, x)) in entries.iter().zip(legend_places(entries)) {
        let y = TOP + LEGEND * line as f64;
        if class.starts_with('f') {
            put(
                out,
                format_args!(
                    "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"13\" height=\"8\" class=\"{class}\"/>",
                    y - 4.0
                ),
            );
        } else {
            put(out, format_args!("<path class=\"{class}\" d=\"M{x:.0} {y}h13\"/>"));
        }
        put(
            out,
            format_args!("<text x=\"{:.0}\" y=\"{}\">{}</text>", x + 17.0, y + 3.5, escape(name)),
        );
    }
}

/// A figure with a chart inside.
pub(super) fn figure(title: &str, note: &str, inside: &str) -> String {
    let (title, note) = (escape(title), escape(note));
    let note = if note.is_empty() { note } else { format!("<p>{note}</p>") };
    format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
         {inside}</svg>{note}</figure>\n"
    )
}

/// A chart without data.
pub(super) fn nothing(title: &str, note: &str) -> String {
    let inside =
        format!("<text x=\"{}\" y=\"{}\" class=\"m\">no numbers</text>", WIDTH / 2.0, HEIGHT / 2.0);
    figure(title, note, &inside)
}

/// Appends formatted text.
pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

/// The tooltip of a mark: its name and numbers.
pub(super) fn tip(name: &str, x: f64, y: f64) -> String {
    format!("<title>{}: {}, {}</title>", escape(name), number(x), number(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_on_the_axis() {
        for (low, high) in [(0.0, 1.0), (-3.0, 8.0), (0.11, 0.14), (1e-9, 3e-9), (0.9, 1234.0)] {
            let ticks = round_numbers(low, high);
            assert!(ticks.len() >= 2 && ticks.len() <= TICKS + 2, "{low} to {high}: {ticks:?}");
            let inside =
                |t: &f64| *t >= low - 1e-6 * (high - low) && *t <= high + 1e-6 * (high - low);
            assert!(ticks.iter().all(inside), "{low} to {high}: {ticks:?}");
        }
        assert!(round_numbers(f64::NAN, 1.0).is_empty());
    }

    #[test]
    fn labels_tell_ticks_from_their_neighbours() {
        for (low, high, logarithmic) in [
            (8.6e-4, 1.002e-3, true),
            (2.0, 3.0, true),
            (1e-6, 1e-2, true),
            (1e-9, 3e-9, false),
            (1.234e6, 1.235e6, false),
            (-0.2, 0.3, false),
            (0.5, 0.5 + 1e-9, false),
        ] {
            let scale = Scale::over([low, high].into_iter(), [0.0, 100.0], logarithmic);
            let ticks = scale.ticks();
            let labels: Vec<String> =
                ticks.iter().map(|&tick| tick_label(tick, spacing(&ticks, tick))).collect();
            assert!(labels.len() >= 2);
            for (i, label) in labels.iter().enumerate() {
                assert!(!labels[..i].contains(label), "{low} to {high}: {labels:?}");
                let read: f64 = label.replace('\u{2212}', "-").parse().unwrap();
                assert!(
                    (read - ticks[i]).abs() <= 1e-9 * (high - low).max(ticks[i].abs()),
                    "{labels:?} {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn a_scale_has_room_for_all_the_same_and_no_place_for_nan() {
        let scale = Scale::over([2.0, 2.0].into_iter(), [0.0, 100.0], false);
        assert!((scale.at(2.0).unwrap() - 50.0).abs() < 1e-9);
        assert_eq!(scale.at(f64::NAN), None);
        let scale = Scale::over([1e-3, 0.0, 10.0].into_iter(), [0.0, 100.0], true);
        assert_eq!(scale.at(0.0), None);
        assert_eq!(scale.ticks(), [1e-3, 1e-2, 0.1, 1.0, 10.0]);
    }
}
