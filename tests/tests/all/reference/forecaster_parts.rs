//! Topics 11, 12, 13 and 17: encoder, head, aggregation, moving average.

use crate::reference::case::{Case, Check};
use crate::reference::units::{parameter_gradients, weighted_sum};
use vdn_autograd::Tape;
use vdn_forecast::forecaster::{Aggregation, vote};
use vdn_forecast::modules::{GatedHead, HeadConfig, PairEncoder};
use vdn_model::core::{Bindings, Builder, Graph, Mode, Parameters};
use vdn_tensor::noise::NoiseKey;
use vdn_train::metrics::MedianConvention;

const KEY: NoiseKey = NoiseKey::new(0, 0, 0);

pub(crate) fn encoder(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let (length, hidden) = (case.count("input_len")?, case.count("hidden")?);
        let kernel = case.optional_count("kernel_size_requested")?;
        let mut parameters = Parameters::<f64>::new();
        let encoder =
            PairEncoder::new(&mut Builder::new(&mut parameters, 0), length, hidden, kernel);
        case.load(&mut parameters)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let current = case.variable(&mut tape, "x_cur")?;
        let pair = !case.value("x_prev").is_null();
        let previous = if pair { case.variable(&mut tape, "x_prev")? } else { current };
        let w = case.constant(&mut tape, "w")?;
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Evaluate, KEY);
        let h = encoder.forward(&mut graph, current, previous)?;
        let loss = weighted_sum(&mut tape, w, h)?;
        tape.backward(loss)?;
        let kernel = PairEncoder::effective_kernel(length, kernel);
        check.values("kernel_size", &[kernel as f64], case.output("kernel_size"));
        check.var("h", &tape, h, case.output("h"));
        check.var("loss", &tape, loss, case.output("loss"));
        check.gradient("grad_x_cur", &tape, current, case.output("grad_x_cur"));
        if pair {
            check.gradient("grad_x_prev", &tape, previous, case.output("grad_x_prev"));
        }
        parameter_gradients(&mut check, &tape, &parameters, &bindings, case)?;
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn head(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let (channels, outputs) = (case.count("n_units")?, case.count("horizon")?);
        let usual = outputs.max((channels / 2).min(512));
        let hidden = case.optional_count("hidden_requested")?.unwrap_or(usual);
        let gated = case.value("gated").as_bool().ok_or("gated is no truth value")?;
        let config =
            HeadConfig { channels, outputs, hidden, gated, dropout: 0.0, zero_output: false };
        let mut parameters = Parameters::<f64>::new();
        let head = GatedHead::new(&mut Builder::new(&mut parameters, 0), config)?;
        case.load(&mut parameters)?;
        let (mut tape, mut bindings) = (Tape::new(), Bindings::new());
        let z = case.variable(&mut tape, "z")?;
        let (w, v) = (case.constant(&mut tape, "w")?, case.constant(&mut tape, "v")?);
        let mut graph = Graph::new(&mut tape, &parameters, &mut bindings, Mode::Train, KEY);
        let (y, score) = head.forward(&mut graph, z, true)?;
        let score = score.ok_or("no score")?;
        let predicted = weighted_sum(&mut tape, w, y)?;
        let scored = weighted_sum(&mut tape, v, score)?;
        let loss = tape.add(predicted, scored)?;
        tape.backward(loss)?;
        check.values("hidden", &[hidden as f64], case.output("hidden"));
        check.var("y", &tape, y, case.output("y"));
        check.var("score", &tape, score, case.output("score"));
        check.var("loss", &tape, loss, case.output("loss"));
        check.gradient("grad_z", &tape, z, case.output("grad_z"));
        parameter_gradients(&mut check, &tape, &parameters, &bindings, case)?;
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn aggregate(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mode = match case.text("mode")? {
            "mean" => Aggregation::Mean,
            "score" => Aggregation::Score,
            "median" => Aggregation::Median,
            other => return Err(format!("mode {other}").into()),
        };
        let mut tape = Tape::new();
        let y = case.variable(&mut tape, "y_samples")?;
        let scores = case.variable(&mut tape, "scores")?;
        let z = case.variable(&mut tape, "z_samples")?;
        let vote = vote(&mut tape, mode, MedianConvention::LowerMiddle, y, z, scores)?;
        check.var("yhat", &tape, vote.forecast, case.output("yhat"));
        check.var("weights", &tape, vote.weights, case.output("weights"));
        check.var("z_vote", &tape, vote.latent, case.output("z_vote"));
        if case.has_output("loss") {
            let (w, v) = (case.constant(&mut tape, "w")?, case.constant(&mut tape, "v")?);
            let forecast = weighted_sum(&mut tape, w, vote.forecast)?;
            let latent = weighted_sum(&mut tape, v, vote.latent)?;
            let loss = tape.add(forecast, latent)?;
            tape.backward(loss)?;
            check.var("loss", &tape, loss, case.output("loss"));
            check.gradient("grad_y_samples", &tape, y, case.output("grad_y_samples"));
            check.gradient("grad_scores", &tape, scores, case.output("grad_scores"));
            check.gradient("grad_z_samples", &tape, z, case.output("grad_z_samples"));
        }
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn moving_average(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mut tape = Tape::new();
        let x = case.variable(&mut tape, "x")?;
        let w = case.constant(&mut tape, "w")?;
        let requested = case.optional_count("kernel_size_requested")?;
        let kernel = PairEncoder::effective_kernel(tape.shape(x).last(), requested);
        let trend = tape.moving_average(x, kernel)?;
        let seasonal = tape.sub(x, trend)?;
        let loss = weighted_sum(&mut tape, w, trend)?;
        tape.backward(loss)?;
        check.values("kernel_size", &[kernel as f64], case.output("kernel_size"));
        check.var("trend", &tape, trend, case.output("trend"));
        check.var("seasonal", &tape, seasonal, case.output("seasonal"));
        check.gradient("grad_x", &tape, x, case.output("grad_x"));
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}
