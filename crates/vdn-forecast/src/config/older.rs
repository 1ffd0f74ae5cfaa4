//! Keys of earlier versions: each is translated to its current form, or rejected with a message
//! that says what to write.

use toml::{Table, Value};
use vdn_train::TrainError;

/// Replaces older keys with current ones.
///
/// # Errors
/// Fails for an older key without a current equivalent. The message is one line and says what to
/// write.
pub(super) fn translate(given: &mut Table) -> Result<(), TrainError> {
    let Some(Value::Table(model)) = given.get_mut("model") else { return Ok(()) };
    if model.contains_key("emit_kl") {
        let reason = "model.emit_kl: remove it; controllers ask for what they need themselves";
        return Err(TrainError::config(reason));
    }
    // A run writes every setting. A run without these two keys is older than the settings.
    let of_a_run = ["kernel", "clamp_gradient", "zero_output", "layer_beta"];
    if of_a_run.iter().all(|key| model.contains_key(*key)) {
        let sampled = || Value::String("sampled".to_owned());
        model.entry("dependence").or_insert_with(sampled);
        model.entry("loading_correlation").or_insert(Value::Float(0.0));
    }
    match model.remove("degrees_of_freedom") {
        Some(degrees) => give_degrees(model, &degrees),
        None => Ok(()),
    }
}

/// Moves `degrees_of_freedom` into the family of every Student's t layer.
fn give_degrees(model: &mut Table, degrees: &Value) -> Result<(), TrainError> {
    let mut found = false;
    let mut give = |family: &mut Value| {
        let student = family.as_str() == Some("student_t")
            || family.as_table().is_some_and(|table| table.contains_key("student_t"));
        if student {
            let settings = Table::from_iter([("degrees_of_freedom".to_owned(), degrees.clone())]);
            let named = Table::from_iter([("student_t".to_owned(), Value::Table(settings))]);
            *family = Value::Table(named);
            found = true;
        }
    };
    match model.get_mut("family") {
        Some(Value::Array(families)) => families.iter_mut().for_each(give),
        Some(family) => give(family),
        None => {}
    }
    if found {
        return Ok(());
    }
    let reason = format!(
        "model.degrees_of_freedom = {degrees}: only units of family = \"student_t\" have them"
    );
    Err(TrainError::config(reason))
}
