//! The energies and bands on the page of a run.

use crate::runs::support::{Failure, config, restamp};
use std::path::Path;
use vdn_forecast::report::report_run;
use vdn_forecast::run::{RunDirectory, train_run};
use vdn_model::controllers::{BandConfig, BandShape, EnergyBand, SingleUnit};
use vdn_train::units::UnitHistory;

const UNITS: usize = 16;
const EPOCHS: usize = 3;
const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 32\nmax_test = 16\n[model]\nunits = 16\n\
                     hidden = 16\nhead_hidden = 16\nevaluate_samples = 4\n[train]\nepochs = 3\nbatch = 8\npatience = 0\n\
                     [diagnostics]\nwindows = 0\n";

fn run(text: &str, out: &Path) -> Result<(RunDirectory, String), Failure> {
    train_run(&config(SMALL, text)?, Some(out), |_, _| {})?;
    let run = RunDirectory::open(out)?;
    let page = report_run(&run)?;
    Ok((run, page))
}

/// The values in the tooltips of a line, in the figure with this title.
fn points(page: &str, title: &str, line: &str) -> Vec<[f64; 2]> {
    let figures = page.split("<figure>").filter(|f| f.contains(&format!("<figcaption>{title}<")));
    let tip = format!("<title>{line}: ");
    let said = figures.flat_map(|figure| figure.split(&tip).skip(1));
    said.map(|rest| {
        let (numbers, _) = rest.split_once('<').unwrap();
        let (x, y) = numbers.split_once(", ").unwrap();
        [x, y].map(|x| x.replace('\u{2212}', "-").parse().unwrap())
    })
    .collect()
}

fn column(path: &Path, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at = lines.next().unwrap().iter().position(|cell| *cell == name).unwrap();
    lines.map(|line| line[at].parse().unwrap()).collect()
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all[(0.5 * (all.len() - 1) as f64).round() as usize]
}

/// Three decimals or four digits are shown; bounds are stored in single precision.
fn near(shown: f64, truth: f64) -> bool {
    (shown - truth).abs() <= 5.001e-4 * truth.abs().max(1.0)
}

#[test]
fn energies_are_shown_against_the_bands_of_every_epoch() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (run, page) = run(
        "[control]\nmode = \"homeo\"\nband_target = 0.2\nband_spread = 2.0\ncalibration_every = 4\nevery = 4\n",
        &directory.path().join("run"),
    )?;
    // The bands of the configuration on the scales that the controller reports.
    let shape =
        BandShape::Heterogeneous { spread: 2.0, shuffled: None, single: SingleUnit::Centre };
    let base = EnergyBand::new(UNITS, &BandConfig { target: 0.2, shape, ..BandConfig::default() })?;
    let log = run.control(false).with_extension("csv");
    let scales: Vec<[f64; 2]> = column(&log, "band_calibration.s_lo")
        .into_iter()
        .zip(column(&log, "band_calibration.s_hi"))
        .map(|(low, high)| [low, high])
        .collect();
    assert_eq!(scales.len(), EPOCHS);
    assert!(scales.windows(2).all(|pair| pair[0] != pair[1]), "the bands move: {scales:?}");
    let low = |epoch: usize, unit: usize| base.lo[unit] * scales[epoch][0];
    let high =
        |epoch: usize, unit: usize| (base.hi[unit] * scales[epoch][1]).max(1.05 * low(epoch, unit));
    let units = UnitHistory::read(&run.units(false))?;
    let energy =
        |epoch: usize, unit: usize| f64::from(units.energy_and_band(epoch).unwrap()[0][unit]);
    let place = |epoch: usize, unit: usize| {
        let (low, high) = (low(epoch, unit), high(epoch, unit));
        (energy(epoch, unit) - low) / (high - low)
    };
    let shown = |title: &str, line: &str| {
        let points = points(&page, title, line);
        let epochs: Vec<f64> = points.iter().map(|point| point[0]).collect();
        assert_eq!(epochs, [1.0, 2.0, 3.0], "{title}, {line}");
        points.into_iter().map(|point| point[1]).collect::<Vec<f64>>()
    };
    let own = "Energy against the unit&#39;s own band";
    let lows = shown("Energy of units", "median lower bound");
    let highs = shown("Energy of units", "median upper bound");
    let places = shown(own, "median");
    let [inside, below, above] =
        ["inside", "below", "above"].map(|line| shown("Units inside their band", line));
    let recorded = column(&run.history(false), "inside");
    for epoch in 0..EPOCHS {
        let all = 0..UNITS;
        for (name, bound) in [("low", &low as &dyn Fn(usize, usize) -> f64), ("high", &high)] {
            let stored = units.get(epoch, UnitHistory::measure(name).unwrap()).unwrap();
            for unit in all.clone() {
                let (stored, truth) = (f64::from(stored[unit]), bound(epoch, unit));
                assert!(
                    (stored - truth).abs() <= 1e-7 * truth,
                    "{name} {epoch} {unit}: {stored} {truth}"
                );
            }
        }
        assert!(near(lows[epoch], middle(all.clone().map(|unit| low(epoch, unit)))), "{lows:?}");
        assert!(near(highs[epoch], middle(all.clone().map(|unit| high(epoch, unit)))), "{highs:?}");
        assert!(near(places[epoch], middle(all.map(|unit| place(epoch, unit)))), "{places:?}");
        assert!(near(inside[epoch], recorded[epoch]), "{inside:?} {recorded:?}");
        assert!(near(inside[epoch] + below[epoch] + above[epoch], 1.0));
    }
    // The shares are not trivial.
    assert!(recorded.iter().any(|&share| share > 0.0 && share < 1.0), "{recorded:?}");
    let limits = ["lower bound", "upper bound"].map(|line| points(&page, own, line));
    assert_eq!(limits, [[[1.0, 0.0], [3.0, 0.0]], [[1.0, 1.0], [3.0, 1.0]]]);
    Ok(())
}

#[test]
fn without_bands_nothing_is_said_of_them() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (run, page) = run("[control]\nmode = \"rate\"\n", &directory.path().join("run"))?;
    assert!(page.contains("Energy of units") && page.contains("Shares of units"));
    for word in ["lower bound", "own band", "inside: ", "Inside", "Units inside", "energy band"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(!UnitHistory::read(&run.units(false))?.has_bands());
    Ok(())
}

#[test]
fn a_run_that_did_not_record_its_bands_is_read_and_says_so() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (run, _) = run("[control]\nmode = \"homeo\"\n", &directory.path().join("run"))?;
    // The format before bounds were recorded: nine measures of each unit.
    let file = run.units(false);
    let bytes = std::fs::read(&file)?;
    let (header, data) = bytes.split_at(bytes.len() - EPOCHS * 11 * UNITS * 4);
    let header = String::from_utf8_lossy(&header[10..]).replace("11, 16), }", "9, 16), } ");
    let mut old = bytes[..10].to_vec();
    old.extend(header.as_bytes());
    data.chunks(11 * UNITS * 4).for_each(|epoch| old.extend(&epoch[..9 * UNITS * 4]));
    std::fs::write(&file, old)?;
    restamp(&run, "units.npy")?;
    assert_eq!(UnitHistory::read(&file)?.epochs(), EPOCHS);
    let page = report_run(&run)?;
    assert!(page.contains("did not record their bounds"));
    assert!(!page.contains("median lower bound") && !page.contains("own band"));
    Ok(())
}
