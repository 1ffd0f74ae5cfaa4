//! A model of any objective has a twin.

use crate::runs::support::{Failure, config};
use vdn_forecast::run::{RunDirectory, evaluate_run, train_run};

const SMALL: &str = "[data]\ninput_len = 24\nhorizon = 4\nmax_train = 48\nmax_validation = 16\n\
    max_test = 8\n[control]\nmode = \"none\"\n[diagnostics]\nwindows = 0\n[train]\nepochs = 1\n\
    twin = true\n[model]\nunits = 8\nhidden = 8\nhead_hidden = 8\nevaluate_samples = 4\n";

#[test]
fn models_by_elbo_and_iwae_have_the_twin_that_is_trained_by_the_score() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut twins = Vec::new();
    for objective in ["vib", "elbo", "iwae"] {
        let out = directory.path().join(objective);
        let config = config(SMALL, &format!("objective = \"{objective}\"\n"))?;
        let report = train_run(&config, Some(&out), |_, _| {})?;
        let again = evaluate_run(&RunDirectory::open(&out)?)?;
        let of = |rows: &[vdn_forecast::run::Row]| {
            let row = rows.iter().find(|row| row.name == "deterministic twin").unwrap();
            (row.mse.to_bits(), row.crps.to_bits())
        };
        assert_eq!(of(&report.rows), of(&again.rows), "{objective}");
        let parameters = |name: &str| {
            report.rows.iter().find(|row| row.name == name).unwrap().parameters.unwrap()
        };
        // The twin has the model's head. It lacks 8 deviations with 8 contexts each and, with a
        // joint head, the 4 x 8 weights of the shared noise.
        let of_noise = if objective == "vib" { 4 * 8 } else { 0 };
        let lacks = parameters("variational units") - parameters("deterministic twin");
        assert_eq!(lacks, 8 * 8 + 8 + of_noise, "{objective}");
        if objective != "vib" {
            twins.push(of(&report.rows));
        }
    }
    assert!(twins.windows(2).all(|pair| pair[0] == pair[1]), "{twins:?}");
    Ok(())
}
