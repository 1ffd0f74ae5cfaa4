//! The beginning of a page: scores, forecasts and calibration, in the units of the data.

use crate::runs::support::{Failure, config};
use vdn_forecast::report::report_run;
use vdn_forecast::run::{Report, RunDirectory, train_run};

const HORIZON: usize = 4;
/// The contestants that a page shows by series and by step.
const CONTESTANTS: [&str; 3] =
    ["variational units", "deterministic twin", "seasonal naive, 365 steps"];
const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 64\nmax_validation = 16\n\
    max_test = 16\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 4\n\
    [train]\nepochs = 1\ntwin = true\n[diagnostics]\nwindows = 0\n";

/// The cells of the rows of a table.
fn table(page: &str, title: &str) -> Vec<Vec<String>> {
    let start = format!("<h3>{title}</h3>");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no table {title}"));
    let (body, _) = rest.split_once("</tbody>").unwrap();
    let rows = body.split("<tr>").skip(2);
    let cells = |row: &str| -> Vec<String> {
        let cells = row.split("<td>").skip(1);
        cells.map(|cell| cell.split_once("</td>").unwrap().0.to_owned()).collect()
    };
    rows.map(cells).collect()
}

/// The figures whose title contains this.
fn figures<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let has = |figure: &&str| {
        let caption = figure.split_once("</figcaption>").map_or("", |(caption, _)| caption);
        caption.contains(title)
    };
    page.split("<figure>").skip(1).filter(has).collect()
}

fn numeral(text: &str) -> f64 {
    text.replace('\u{2212}', "-").parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// The values in the tooltips of a figure's marks.
fn told(figure: &str, line: &str) -> Vec<f64> {
    let start = format!("<title>{line}: ");
    let marks = figure.split(&start).skip(1);
    let value = |mark: &str| mark.split_once('<')?.0.split_once(", ").map(|(_, y)| numeral(y));
    marks.filter_map(value).collect()
}

/// Compares to four significant digits, or three decimals.
fn near(shown: f64, truth: f64) -> bool {
    (shown - truth).abs() <= 5.001e-4 * truth.abs().max(1.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_page_begins_with_scores_forecasts_and_calibration() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("run");
    let config = config(SMALL, "")?;
    let report = train_run(&config, Some(&out), |_, _| {})?;
    let run = RunDirectory::open(&out)?;
    let page = report_run(&run)?;
    let order = [
        "Scores",
        "Scores by step of the horizon",
        "Forecasts",
        "Several steps together",
        "Calibration",
        "Training",
        "Units over epochs",
        "Units of the kept weights",
    ];
    let places = order.map(|heading| page.find(&format!("<h2>{heading}</h2>")));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    scores(&page, &report, &run)?;
    let wholes = table(&page, "Forecasts as wholes, standardised units");
    let judged = report.rows.iter().filter(|row| row.wholes.horizon_mean.is_some());
    assert_eq!(wholes.len(), judged.count());
    forecasts(&page, &config.data.dataset(config.data.load_table()?)?);
    // Every window falls into one bin of its horizon mean.
    let pits = figures(&page, "PIT of the horizon");
    assert_eq!(pits.len(), 3);
    for figure in pits {
        let shares = told(figure, "share of windows");
        assert_eq!(shares.len(), 20);
        // Shares of 64 windows, three decimals each.
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 20.0 * 5e-4, "{shares:?}");
    }
    Ok(())
}

/// By step, the model, its twin and the naive forecast have the scores of their table rows.
fn by_step(page: &str, report: &Report) {
    for name in CONTESTANTS {
        let row = report.rows.iter().find(|row| row.name == name).unwrap();
        let [crps, mae] = ["CRPS", "MAE"].map(|score| {
            let title = format!("All series: {score}");
            mean(&told(figures(page, &title)[0], name))
        });
        assert!(near(crps, row.crps) && near(mae, row.mae), "{name}: {crps} {mae}");
    }
}

#[test]
fn scores_by_step_are_averaged_as_those_of_the_rows() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("run");
    // With 64 windows in batches of 60, the last four windows weigh as much as all others together.
    let text = SMALL.replace("twin = true\n", "twin = true\nbatch = 60\naveraging = \"batches\"\n");
    let report = train_run(&config(&text, "")?, Some(&out), |_, _| {})?;
    by_step(&report_run(&RunDirectory::open(&out)?)?, &report);
    Ok(())
}

/// By series and by step, the scores match the overall scores, in the units of the data.
fn scores(page: &str, report: &Report, run: &RunDirectory) -> Result<(), Failure> {
    let (names, scaler) = run.read_scaler()?;
    let series = table(page, "By series, in the units of the data");
    assert_eq!(series.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), names);
    let column = |at: usize| series.iter().map(|row| numeral(&row[at])).collect::<Vec<f64>>();
    assert_eq!(column(1), [16.0; 4]);
    // All series have the same number of windows, so the mean over series is the value in the
    // table.
    let standardised = |at: usize, power: i32| -> Vec<f64> {
        let values = column(at).into_iter().zip(scaler.std());
        values.map(|(value, std)| (value / std).powi(power)).collect()
    };
    let row = &report.rows[0];
    // Numbers have four digits; the squared error is shown by its root.
    for (at, power, truth) in
        [(2, 1, row.crps), (4, 1, row.mae), (5, 2, row.mse), (7, 1, row.width_90)]
    {
        let found = mean(&standardised(at, power));
        assert!((found / truth - 1.0).abs() < 1e-3, "column {at}: {found} {truth}");
    }
    assert!((mean(&column(6)) - row.coverage_90).abs() < 5.001e-4);
    by_step(page, report);
    for (place, name) in CONTESTANTS.into_iter().enumerate() {
        let row = report.rows.iter().find(|row| row.name == name).unwrap();
        assert!((mean(&column(8 + place)) - row.crps).abs() < 5.001e-5, "{name}");
    }
    for (name, crps) in names.iter().zip(column(2)) {
        let steps = told(figures(page, &format!("{name}: CRPS"))[0], "variational units");
        assert_eq!(steps.len(), HORIZON);
        assert!(near(mean(&steps), crps), "{name}: {steps:?} {crps}");
    }
    let coverage = told(figures(page, "Coverage by step")[0], "observed");
    assert!(near(mean(&coverage), row.coverage_90), "{coverage:?}");
    Ok(())
}

/// Windows are named by their dates and have paths; the observed values are marked in the
/// histograms.
fn forecasts(page: &str, data: &vdn_forecast::data::Dataset) {
    let test = &data.splits().test;
    for i in 0..6 {
        let window = test[(2 * i + 1) * test.len() / 12];
        let (series, t) = (window.series as usize, window.t as usize);
        let title = format!("{} from {}", data.names()[series], data.date(series, t).unwrap());
        let found = figures(page, &title);
        assert_eq!(found.len(), 3, "{title}");
        // Three paths, and one mark in the legend.
        assert_eq!(found[0].matches("class=\"y\"").count(), 4, "{title}");
        let own = |z: &f64| data.scaler().inverse(series, *z);
        let came: Vec<f64> = data.columns()[series][t..t + HORIZON].iter().map(own).collect();
        let largest = came.iter().copied().fold(f64::MIN, f64::max);
        for (figure, truth) in found[1..].iter().zip([mean(&came), largest]) {
            let (_, rest) = figure.split_once(">observed: ").unwrap();
            let shown = numeral(rest.split_once('<').unwrap().0);
            assert!(near(shown, truth), "{title}: {shown} {truth}");
            let shares = told(figure, "share of paths");
            assert_eq!(shares.len(), 24);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 24.0 * 5e-4, "{title}");
        }
    }
}
