//! Numbers that are fixed, numbers that are derived, and collisions.

use super::*;
use crate::core::{Builder, Parameters};
use std::collections::{BTreeSet, HashMap};

const PURPOSES: [Purpose; 6] = [
    Purpose::Units,
    Purpose::PriorDraws,
    Purpose::Dropout,
    Purpose::Swap,
    Purpose::Redraw,
    Purpose::Other("masks"),
];

/// Every stream that has a fixed number, written out.
fn fixed() -> Vec<(String, Purpose, u32)> {
    let mut all = vec![
        (String::new(), Purpose::Units, 0),
        ("neuron".into(), Purpose::Units, 0),
        ("units".into(), Purpose::Units, 0),
        ("head".into(), Purpose::Dropout, 1),
        ("neuron".into(), Purpose::PriorDraws, 2),
        ("neuron".into(), Purpose::Swap, 3),
        ("neuron".into(), Purpose::Redraw, 4),
    ];
    for layer in 1..16 {
        all.push((format!("neuron{}", layer + 1), Purpose::Units, 16 + layer));
        all.push((format!("neuron{}", layer + 1), Purpose::PriorDraws, 32 + layer));
    }
    all
}

/// Paths as networks have them: 10 000 and more.
fn paths() -> Vec<String> {
    let words =
        ["neuron", "units", "head", "feat", "layer", "block", "encoder", "decoder", "prior"];
    let mut all = vec![String::new()];
    for word in words {
        all.push(word.to_owned());
        for i in 0..100 {
            all.push(format!("{word}{i}"));
            all.push(format!("{word}.{i}"));
            all.extend(words.map(|inner| format!("{word}{i}.{inner}")));
            all.push(format!("model.{word}{i}.neuron{}", i % 20));
        }
    }
    all
}

#[test]
fn numbers_of_published_networks_stay() {
    for (path, purpose, want) in fixed() {
        assert_eq!(number(&path, purpose), want, "{path} ({purpose})");
    }
    assert_eq!(number("neuron", Purpose::Other("units")), 0, "a purpose is its name");
    assert_eq!([TRAINING_ORDER, EVALUATION_ORDER], [1_073_741_824, 1_073_741_825]);
    assert_eq!([EVALUATION_STEP, PROBE_STEP], [4_294_967_294, 4_294_967_293]);
    assert_eq!(TRAINING_STEPS, 2_147_483_648);
}

#[test]
fn names_that_are_merely_like_those_of_the_table_are_derived() {
    for path in ["neuron0", "neuron1", "neuron02", "neuron+2", "neuron17", "a.neuron", "neuron.a"] {
        for purpose in PURPOSES {
            assert_eq!(numbered(path, purpose), None, "{path} ({purpose})");
        }
    }
    for purpose in [Purpose::Dropout, Purpose::Swap, Purpose::Redraw] {
        assert_eq!(numbered("neuron2", purpose), None, "{purpose}");
    }
}

/// Fixed within a major version; computed by another program.
#[test]
fn derived_numbers_are_pinned() {
    let golden = [
        ("", Purpose::Dropout, 0x8048_c5d1),
        ("encoder", Purpose::Units, 0xa57b_d444),
        ("layer", Purpose::Units, 0x8fd4_63b6),
        ("decoder.neuron2", Purpose::Units, 0x9309_833d),
        ("decoder", Purpose::PriorDraws, 0xbf33_ed82),
        ("neuron17", Purpose::Units, 0x9359_c489),
        ("decoder", Purpose::Swap, 0x9882_f2ab),
        ("decoder", Purpose::Redraw, 0x9408_b33f),
        ("head2", Purpose::Dropout, 0xb30b_992a),
        ("encoder", Purpose::Other("masks"), 0x9b85_d45e),
    ];
    for (path, purpose, want) in golden {
        assert_eq!(number(path, purpose), want, "{path} ({purpose})");
    }
}

#[test]
fn derived_numbers_meet_no_reserved_one() {
    let mut reserved: BTreeSet<u32> = fixed().into_iter().map(|(_, _, number)| number).collect();
    // The last one is the stream that seeds are folded with.
    reserved.extend([TRAINING_ORDER, EVALUATION_ORDER, u32::MAX]);
    let paths = paths();
    assert!(paths.len() >= 10_000, "{}", paths.len());
    let mut seen = BTreeSet::new();
    for path in &paths {
        for purpose in PURPOSES {
            let number = derived(path, purpose);
            assert!(!reserved.contains(&number), "{path} ({purpose}): {number}");
            assert!((1 << 31..3 << 30).contains(&number), "{path} ({purpose}): {number}");
            seen.insert(number);
        }
    }
    // 65 000 numbers of 2^30 meet about twice by chance: 65 000^2 / 2^31.
    let names = paths.iter().collect::<BTreeSet<_>>().len() * PURPOSES.len();
    assert!(names - seen.len() <= 10, "{} collisions", names - seen.len());
}

#[test]
fn a_path_and_purpose_are_given_once() {
    let mut streams = Streams::default();
    streams.take("encoder", Purpose::Dropout).unwrap();
    streams.take("encoder", Purpose::Units).unwrap();
    streams.take("encoder2", Purpose::Dropout).unwrap();
    let error = streams.take("encoder", Purpose::Dropout).unwrap_err();
    assert_eq!(
        error.to_string(),
        "noise: encoder (dropout) is built twice; each module needs a name of its own"
    );
}

/// The first two of these paths whose numbers are equal.
fn collision(purpose: Purpose) -> [String; 2] {
    let mut seen: HashMap<u32, String> = HashMap::new();
    for i in 0_u32.. {
        let path = format!("layer{i}");
        if let Some(first) = seen.insert(number(&path, purpose), path.clone()) {
            return [first, path];
        }
    }
    unreachable!("more paths than numbers");
}

#[test]
fn two_paths_of_one_number_are_refused_by_both_names() {
    let [first, second] = collision(Purpose::Units);
    assert_ne!(first, second);
    let mut parameters = Parameters::<f32>::new();
    let mut builder = Builder::new(&mut parameters, 0);
    let stream = builder.scope(&first).stream(Purpose::Units).unwrap().number();
    let error = builder.scope(&second).stream(Purpose::Units).unwrap_err();
    let [holder, refused] = [&first, &second].map(|path| format!("{path} (units)"));
    let want = ModelError::SharedNoise { stream, holder, refused };
    assert_eq!(error, want);
    let text = error.to_string();
    assert!(text.contains(&first) && text.contains(&second), "{text}");
    // The refused module has nothing; under another purpose, the two paths are apart.
    builder.scope(&second).stream(Purpose::Dropout).unwrap();
}

#[test]
fn two_networks_with_one_fixed_number_are_refused_in_one() {
    let mut parameters = Parameters::<f32>::new();
    Builder::new(&mut parameters, 0).scope("neuron").stream(Purpose::Units).unwrap();
    // Another builder of the same parameters knows of the first one.
    let mut other = Builder::new(&mut parameters, 0);
    let error = other.stream(Purpose::Units).unwrap_err().to_string();
    assert!(error.contains("neuron (units)") && error.contains("the root (units)"), "{error}");
    let error = other.scope("units").stream(Purpose::Units).unwrap_err().to_string();
    assert!(error.contains("neuron (units)") && error.contains("units (units)"), "{error}");
}

#[test]
fn a_claimed_number_is_refused_whoever_asks() {
    let mut streams = Streams::default();
    streams.claim(5, "a", Purpose::Units).unwrap();
    let error = streams.claim(5, "b", Purpose::Dropout).unwrap_err().to_string();
    let want = "noise: b (dropout) would share stream 5 with a (units); rename one of the two";
    assert_eq!(error, want);
    streams.claim(6, "b", Purpose::Dropout).unwrap();
}
