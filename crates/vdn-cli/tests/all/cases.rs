//! Small files of typical kinds, and the correct result for each: see
//! `crates/vdn-forecast/tests/data/cases/README.md`.

use super::support::{text, vdn};
use std::path::{Path, PathBuf};

fn case(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vdn-forecast/tests/data/cases");
    folder.join(format!("{name}.csv")).to_str().unwrap().to_owned()
}

/// A run on a case.
struct Trained {
    out: PathBuf,
    table: String,
    error: String,
    code: Option<i32>,
    _folder: tempfile::TempDir,
}

fn train_file(file: &str, lengths: [&str; 2], more: &[&str]) -> Trained {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let [input, horizon] = lengths;
    let fixed = ["--units", "8", "--samples", "2", "--evaluate-samples", "8", "--epochs", "2"];
    let mut all = vec!["train", "--quiet", "--threads", "1", "--data", file];
    all.extend(["--input-len", input, "--horizon", horizon]);
    all.extend(["--out", out.to_str().unwrap()]);
    all.extend(fixed.iter().chain(more));
    let output = vdn(&all);
    Trained {
        out,
        table: text(&output.stdout),
        error: text(&output.stderr),
        code: output.status.code(),
        _folder: folder,
    }
}

/// A gated head starts silent: after two epochs the forecast is still near the window's mean.
const SILENT: [&str; 2] = ["--set", "model.dependence=sampled"];

fn train(name: &str, more: &[&str]) -> Trained {
    // The smallest files have 60 rows.
    let lengths = if name.starts_with("min") { ["4", "1"] } else { ["24", "6"] };
    train_file(&case(name), lengths, more)
}

impl Trained {
    fn expect(self, name: &str) -> Self {
        assert_eq!(self.code, Some(0), "{name}: {}", self.error);
        self
    }

    /// The scores in the table.
    fn scores(&self) -> Vec<String> {
        let rows = self.table.lines().skip_while(|line| !line.starts_with("test windows"));
        let numbers = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let score = |word: &&str| word.contains('.') && word.parse::<f64>().is_ok();
            // The last number is a time.
            let all: Vec<&str> = words.into_iter().filter(score).take(5).collect();
            all.join(" ")
        };
        rows.skip(1).take_while(|line| !line.is_empty()).map(numbers).collect()
    }

    fn notes(&self) -> String {
        let notes = self.table.lines().filter(|line| line.starts_with("note"));
        // The runs are far too short to learn anything.
        notes.filter(|line| !line.contains("WARNING")).collect::<Vec<_>>().join("\n")
    }

    /// Lines of the forecast, split at commas.
    fn forecast(&self, more: &[&str]) -> Vec<Vec<String>> {
        let mut all = vec!["forecast", self.out.to_str().unwrap()];
        all.extend(more);
        let output = vdn(&all);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        lines.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }
}

#[test]
fn rows_out_of_order_give_the_scores_of_sorted_ones() {
    let sorted = train("min_sorted", &[]).expect("sorted");
    let unsorted = train("min_unsorted", &[]).expect("unsorted");
    assert_eq!(sorted.notes(), "");
    assert!(unsorted.notes().contains("rows are not in order of time: sorted, 20 of 60 moved"));
    assert_eq!(sorted.scores(), unsorted.scores());
    let weights = |run: &Trained| std::fs::read(run.out.join("weights.safetensors")).unwrap();
    assert!(weights(&sorted) == weights(&unsorted));

    let newest_first = train("c07_descending", &SILENT).expect("descending");
    assert!(newest_first.notes().contains("newest first"));
    let lines = newest_first.forecast(&[]);
    assert_eq!(lines[0][2], "2021-02-04");
    let mean: f64 = lines[0][3].parse().unwrap();
    assert!((mean - 500.0).abs() < 50.0, "{mean}");
}

#[test]
fn the_same_series_in_any_form_gives_the_same_scores() {
    let base = train("c04_index", &[]).expect("base");
    assert!(base.notes().contains("numbers the rows: left out"), "{}", base.notes());
    for (name, season) in [
        ("c05_month", "12 (rows every 1 month)"),
        ("c05d_quarter", "4 (rows every 3 months)"),
        ("c06b_epoch", "24 (rows every 1 hour"),
        ("c02_thousands", "7 (rows every 1 day"),
        ("c22e_trailing_delim_all", "24 (rows every 1 hour"),
        ("c12_1e-170", "24 (rows every 1 hour"),
    ] {
        let run = train(name, &[]).expect(name);
        // The baseline depends on the season.
        assert_eq!(run.scores()[..3], base.scores()[..3], "{name}");
        assert!(run.table.contains(&format!("season    {season}")), "{name}: {}", run.table);
    }
    let european = train("c01_european", &[]).expect("european");
    assert!(european.table.contains("2 series"), "{}", european.table);
    assert!(european.notes().contains("2 empty columns at the end"), "{}", european.notes());
    assert_eq!(european.forecast(&[])[6][..3], ["Preis", "1", "2021-03-17 16:00:00"]);
    let semicolons = train("c01d_ints_semicolon", &[]).expect("semicolons");
    assert!(semicolons.table.contains("1 series"));
    let long = train("c04d_long", &[]).expect("long");
    assert!(long.table.contains("2 series"));
    // A series of ten rows is left out of training and of forecasts.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.csv");
    let mut rows = std::fs::read_to_string(case("c04d_long")).unwrap();
    (1..10).for_each(|day| rows += &format!("C,2021-03-01 0{day}:00:00,{day}\n"));
    std::fs::write(&file, rows).unwrap();
    let short = train_file(file.to_str().unwrap(), ["24", "6"], &[]).expect("short");
    assert!(short.notes().contains("C: too short, left out"), "{}", short.notes());
    assert_eq!(short.scores(), long.scores());
    assert_eq!(short.forecast(&[]), long.forecast(&[]));
    let year = train("min_year", &[]).expect("year");
    assert!(year.table.contains("1 series"));
    assert_eq!(year.forecast(&[])[0][..3], ["y", "1", "1960"]);
    let style = ["--format", "nixtla"];
    assert_eq!(year.forecast(&style)[0][..2], ["y", "1960"]);
    assert_eq!(year.forecast(&style)[0].len(), 5);
}

#[test]
fn times_that_come_twice_and_gaps_are_never_passed_over() {
    let twice = train("min_duplicates", &[]);
    assert_eq!(twice.code, Some(2));
    assert!(twice.error.contains("min_duplicates.csv:3: the time 2021-01-01 stands on line 2"));
    train("min_duplicates", &["--duplicates", "last"]).expect("last");

    let gaps = train("min_gaps", &[]);
    assert_eq!(gaps.code, Some(2));
    let told =
        "1 gap in time, 199 rows; the longest has 199 rows, the first one begins at 2021-03-02";
    assert!(gaps.error.contains(told), "{}", gaps.error);
    let filled = train("min_gaps", &["--fill", "forward"]).expect("filled");
    assert!(filled.notes().contains(told), "{}", filled.notes());
    assert!(filled.table.contains("L 4, H 1; 189 training"), "{}", filled.table);
}

#[test]
fn missing_values_are_what_they_are() {
    for name in ["c03_fred", "c03w_03", "c03w_07"] {
        let refused = train(name, &[]);
        assert_eq!(refused.code, Some(2), "{name}");
        assert!(refused.error.contains("the value is missing"), "{name}: {}", refused.error);
        let filled = train(name, &["--fill", "forward"]).expect(name);
        assert!(filled.notes().contains("missing values filled"), "{name}: {}", filled.notes());
    }
    let fills = train("c25c_cmip_fill", &[]).expect("fill values");
    assert!(fills.notes().contains("3 cells are 9.969209968386869e36"), "{}", fills.notes());
    for sentinel in ["9.969209968386869e36", "9.96921e36"] {
        let missing = train("c25c_cmip_fill", &["--sentinel", sentinel, "--fill", "forward"]);
        let notes = missing.expect(sentinel).notes();
        assert!(notes.contains("3 missing values filled (3 of them sentinels)"), "{notes}");
    }
    let late = train("c23_late", &["--fill", "forward"]).expect("late");
    assert!(
        late.notes().contains("new: begins at 2021-03-14 18:00:00; 330 rows"),
        "{}",
        late.notes()
    );
    assert!(late.notes().contains("new: too short, left out"), "{}", late.notes());
    // It has enough rows for a forecast.
    assert_eq!(late.forecast(&[])[6][..3], ["new", "1", "2021-03-17 16:00:00"]);

    let base = train("c04_index", &[]).expect("base");
    let tail = case("c26_nan_tail");
    let refused = vdn(&["forecast", base.out.to_str().unwrap(), "--data", &tail]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("choose a fill policy"));
    let lines = base.forecast(&["--data", &tail, "--fill", "forward"]);
    assert_eq!(lines[0][..3], ["load", "1", "2021-03-17 16:00:00"]);
    let own = train("c26_nan_tail", &["--fill", "forward"]).expect("own policy");
    assert_eq!(own.forecast(&[])[0][2], "2021-03-17 16:00:00");

    // New data at another step.
    let folder = tempfile::tempdir().unwrap();
    let daily = folder.path().join("daily.csv");
    let rows: String =
        (0..60).map(|day| format!("{}/{}/2021,1\n", day % 28 + 1, day / 28 + 1)).collect();
    std::fs::write(&daily, format!("date,load\n{rows}")).unwrap();
    let refused = vdn(&["forecast", base.out.to_str().unwrap(), "--data", daily.to_str().unwrap()]);
    let error = text(&refused.stderr);
    assert!(error.contains("gap") || error.contains("1 day apart"), "{error}");
}

#[test]
fn numbers_of_any_size_are_forecast() {
    let constant = train("min_constant", &[]).expect("constant");
    assert!(constant.notes().contains("y: is constant; its constant is forecast"));
    assert!(constant.notes().contains("baseline left out: ridge"), "{}", constant.notes());
    assert!(constant.forecast(&[])[0][3..].iter().all(|x| x == "5"));
    let small = train("c11g_small_constant", &[]).expect("small constant");
    assert!(small.forecast(&[])[6..].iter().all(|line| line[0] == "flag"
        && line[3..].iter().all(|x| x.parse::<f64>().is_ok_and(|x| (x - 0.001).abs() < 1e-12))));
    let integers = train("c13b_beyond53", &SILENT).expect("integers");
    assert!(integers.notes().contains("integers beyond 2^53 are read less 1152921504606847941"));
    let row = integers.scores()[0].clone();
    assert!(row.starts_with("0.92"), "{row}");
    let forecast = integers.forecast(&[]);
    let mean: i64 = forecast[0][3].parse().unwrap();
    assert!((mean - 1_152_921_504_606_847_941).abs() < 2000, "{mean}");
    // New data have the offset of the run, whatever their first row is.
    let all = std::fs::read_to_string(case("c13b_beyond53")).unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let folder = tempfile::tempdir().unwrap();
    let tail = folder.path().join("tail.csv");
    let rows = [&lines[..1], &lines[101..]].concat().join("\n");
    std::fs::write(&tail, rows).unwrap();
    assert_eq!(integers.forecast(&["--data", tail.to_str().unwrap()]), forecast);

    let short = train("min_season", &[]).expect("short");
    assert!(
        short.notes().contains("baseline left out: seasonal naive, 24 steps"),
        "{}",
        short.notes()
    );
    assert!(short.table.contains("seasonal naive, 1 steps"), "{}", short.table);
}

#[test]
fn a_run_is_backtested_by_its_configuration() {
    let run = train("c04d_long", &[]).expect("long");
    let json = run.out.with_file_name("scores.json");
    let out = run.out.to_str().unwrap();
    let options =
        ["--windows", "12", "--step", "3", "--refit", "6", "--out", json.to_str().unwrap()];
    let output = vdn(&[&["backtest", out][..], &options[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("H 6; 12 origins, 3 rows apart; trained 2 times"), "{table}");
    for line in ["all ", "step 1 ", "step 6 ", "A ", "B "] {
        assert!(table.lines().any(|other| other.starts_with(line)), "{line}: {table}");
    }
    assert!(std::fs::read_to_string(&json).unwrap().contains("\"by_series\""));
    let refused = vdn(&["backtest", out, "--windows", "0"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn new_rows_are_held_to_the_times_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, row: &dyn Fn(usize) -> String| {
        let rows: Vec<String> = (0..90).map(row).collect();
        let head = if rows[0].contains(',') { "date,y" } else { "y" };
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{head}\n{}\n", rows.join("\n"))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let y = |row: usize| 10.25 + (row * 7 % 11) as f64;
    let hours = |row: usize| format!("2021-01-{:02} {:02}:00,{}", 1 + row / 24, row % 24, y(row));
    let months = |row: usize| format!("{}-{:02},{}", 1980 + row / 12, 1 + row % 12, y(row));
    let [hourly, monthly, plain] = [
        write("hours.csv", &hours),
        write("months.csv", &months),
        write("plain.csv", &|r| y(r).to_string()),
    ];
    let [dated, undated] =
        [&hourly, &plain].map(|file| train_file(file, ["24", "6"], &[]).expect(file));
    let forecast =
        |run: &Trained, file: &str| vdn(&["forecast", run.out.to_str().unwrap(), "--data", file]);
    let cases = [
        (&dated, &plain, 0, "the rows have no times: they are taken as 1 hour apart"),
        (&undated, &hourly, 0, "the rows are 1 hour apart; the distance of those that the run was"),
        (
            &dated,
            &monthly,
            2,
            "its rows are 1 month apart, those that the run was trained on 1 hour",
        ),
    ];
    for (run, file, code, expected) in cases {
        let output = forecast(run, file);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
    let head = |run: &Trained, file: &str| {
        text(&forecast(run, file).stdout).lines().next().map(str::to_owned)
    };
    assert!(head(&dated, &plain).unwrap().starts_with("series,step,mean"));
    assert!(head(&undated, &hourly).unwrap().starts_with("series,step,date,mean"));
}

#[test]
fn the_season_is_chosen_by_the_values() {
    // Hourly sales on working days: the same hour a week ago predicts better than the same hour
    // yesterday.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sales.csv");
    let mut rows = "time;sales\n".to_owned();
    for hour in 0..24 * 7 * 12 {
        let (day, of_day) = (hour / 24, hour % 24);
        let open = day % 7 < 5 && (8..18).contains(&of_day);
        let noise = (hour * 7919 % 31) as f64 / 10.0;
        let sales = if open { 50.0 + 3.0 * of_day as f64 } else { 4.0 } + noise;
        let (month, day) = match day {
            0..31 => (1, day + 1),
            31..59 => (2, day - 30),
            _ => (3, day - 58),
        };
        let sales = format!("{sales:.1}").replace('.', ",");
        rows += &format!("{day:02}.{month:02}.2021 {of_day:02}:00;{sales}\n");
    }
    std::fs::write(&file, rows).unwrap();
    let run = train_file(file.to_str().unwrap(), ["24", "6"], &[]).expect("sales");
    assert!(run.table.contains("season    168 "), "{}", run.table);
    assert!(run.table.contains("seasonal naive, 168 steps"), "{}", run.table);
}
