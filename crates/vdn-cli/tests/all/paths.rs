//! `vdn forecast --paths` and `--aggregate` as a user runs them.

use super::support::{text, vdn};

#[test]
fn paths_and_aggregates_are_written_and_nonsense_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let run = run.to_str().unwrap();
    let small = "train --demo --quiet --input-len 24 --horizon 4 --units 8 --max-windows 32,8,8 \
        --evaluate-samples 4 --epochs 1 --set diagnostics.windows=0 --out";
    let output = vdn(&small.split_whitespace().chain([run]).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let of = |more: &str| {
        let more = more.split_whitespace();
        vdn(&["forecast", run].into_iter().chain(more).collect::<Vec<_>>())
    };
    let output = of("--paths 3");
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), &lines[0][..]), (1 + 4 * 3 * 4, "series,path,step,date,value"));
    assert!(lines[48].starts_with("wind,3,4,2016-01-04,"), "{}", lines[48]);
    let file = directory.path().join("sums.csv");
    let output = of(&format!("--aggregate sum:2 --out {}", file.display()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let sums = std::fs::read_to_string(file).unwrap();
    assert!(sums.lines().count() == 5 && sums.contains("\nwind,sum,2,"), "{sums}");
    for (more, named) in [
        ("--paths 0", "paths = 0: has to be 1 to 2097152"),
        ("--paths -3", "'-3'"),
        ("--paths 99999999999999", "has to be 1 to 2097152"),
        ("--aggregate medan", "aggregate = \"medan\": has to be one of mean, sum, max; did you"),
        ("--aggregate sum:0", "aggregate = \"sum:0\""),
        ("--aggregate mean:5", "the model forecasts 1 to 4"),
        ("--paths 2 --aggregate sum", "'--aggregate"),
        ("--paths 2 --moments", "'--moments'"),
        ("--aggregate sum --moments", "'--moments'"),
        ("--paths 2 --format nixtla", "'--format"),
        ("--aggregate sum --format nixtla", "'--format"),
    ] {
        let output = of(more);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more}");
        assert!(error.contains(named) && error.trim().lines().count() == 1, "{more}: {error}");
        assert!(output.stdout.is_empty(), "{more}");
    }
}
