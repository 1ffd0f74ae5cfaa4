//! Topics 14 and 16: the optimiser and the windows.

use crate::reference::case::{Case, Check, tensor};
use serde_json::Value;
use vdn_forecast::data::{Dataset, Protocol, WindowIndex, WindowSpec};
use vdn_model::core::Parameters;
use vdn_tensor::Tensor;
use vdn_train::data::{Scaler, Table};
use vdn_train::optim::{AdamW, AdamWConfig};

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "not a list".to_owned())
}

pub(crate) fn adamw(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let config = AdamWConfig {
            beta1: case.number("beta1")?,
            beta2: case.number("beta2")?,
            epsilon: case.number("eps")?,
            weight_decay: case.number("weight_decay")?,
            clip_norm: case.number("clip_norm")?,
        };
        let mut parameters = Parameters::<f64>::new();
        for (index, value) in list(case.value("params"))?.iter().enumerate() {
            parameters.add(format!("p{index}"), tensor(value)?);
        }
        let mut optimizer = AdamW::new(&parameters, config)?;
        for (step, gradients) in list(case.value("grads"))?.iter().enumerate() {
            let gradients: Result<Vec<Option<Tensor<f64>>>, String> = list(gradients)?
                .iter()
                .map(|g| if g.is_null() { Ok(None) } else { tensor(g).map(Some) })
                .collect();
            let gradients = gradients?;
            let slices = gradients.iter().map(|g| g.as_ref().map(|g| g.data()));
            let norm = optimizer.step(&mut parameters, case.number("lr")?, slices)?;
            check.values(&format!("total_norm[{step}]"), &[norm], &case.output("total_norm")[step]);
            for (index, parameter) in parameters.iter().enumerate() {
                let name = format!("params[{step}][{index}]");
                check.values(&name, parameter.tensor().data(), &case.output("params")[step][index]);
            }
        }
        for index in 0..parameters.len() {
            let [first, second] = ["exp_avg", "exp_avg_sq"].map(|name| &case.output(name)[index]);
            match optimizer.moments(index) {
                Some((m, v)) => {
                    check.values(&format!("exp_avg[{index}]"), m, first);
                    check.values(&format!("exp_avg_sq[{index}]"), v, second);
                }
                None if first.is_null() && second.is_null() => {}
                None => return Err(format!("parameter {index} had no gradient").into()),
            }
        }
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}

pub(crate) fn windows(case: &Case) -> Result<Check, String> {
    let mut check = Check::default();
    let mut run = || -> Result<(), Box<dyn std::error::Error>> {
        let mut series: Vec<(String, Vec<f64>)> = Vec::new();
        for one in list(case.value("series"))? {
            let id = one["id"].as_str().map_or_else(|| one["id"].to_string(), str::to_owned);
            let values = match &one["values"] {
                object @ Value::Object(_) => tensor(object)?.data().to_vec(),
                other => list(other)?.iter().filter_map(Value::as_f64).collect(),
            };
            series.push((id, values));
        }
        let (length, horizon) = (case.count("input_len")?, case.count("horizon")?);
        let spec = WindowSpec {
            stride: case.count("stride_ar")?,
            protocol: Protocol::Reference {
                train: case.number("train_frac")?,
                validation: case.number("val_frac")?,
            },
            ..WindowSpec::new(length, horizon)
        };
        let names: Vec<String> = series.iter().map(|(name, _)| name.clone()).collect();
        let lengths: Vec<usize> = series.iter().map(|(_, values)| values.len()).collect();
        let splits = spec.split(&names, &lengths)?;
        for (name, windows) in
            [("train", &splits.train), ("val", &splits.validation), ("test", &splits.test)]
        {
            let pairs = |w: &WindowIndex| [f64::from(w.series), f64::from(w.t)];
            let got: Vec<f64> = windows.iter().flat_map(pairs).collect();
            let want: Vec<Value> = list(case.output(name))?
                .iter()
                .flat_map(|pair| list(pair).cloned().unwrap_or_default())
                .collect();
            check.values(name, &got, &Value::Array(want));
            let sample = &case.output("samples")[name];
            if sample.is_null() {
                continue;
            }
            let index = sample["index"].as_u64().ok_or("a sample without index")? as usize;
            let window = windows[index];
            // One series at a time, because the columns of a table have equal lengths.
            let (name, values) = series[window.series as usize].clone();
            let table = Table::new(vec![name.clone()], vec![values])?;
            let data = Dataset::for_forecast(table, spec, vec![name], Scaler::identity(1))?;
            let mut batch = [vec![0.0; length], vec![0.0; length], vec![0.0; horizon]];
            let [current, previous, target] = &mut batch;
            let alone = [WindowIndex { series: 0, t: window.t }];
            data.fill_batch(&alone, current, previous, target, |x| x)?;
            for (key, got) in [("x_cur", &batch[0]), ("x_prev", &batch[1]), ("y", &batch[2])] {
                check.values(key, got, &sample[key]);
            }
        }
        Ok(())
    };
    run().map_err(|e| e.to_string())?;
    Ok(check)
}
