//! Tables of numbers and categories, and their encoding as inputs.

use vdn_train::data::{
    ColumnValues, DataError, FeatureEncoding, MissingFeature, Tabular, TabularOptions,
};

const HOUSES: &[u8] =
    b"rooms,flag,kind,price,area\n1,5,b,100,10\n2,5,a,200,\n3,5,b,900,60\n4,5,c,50,30\n";

fn options(targets: &[&str]) -> TabularOptions {
    let targets = targets.iter().map(|name| (*name).to_owned()).collect();
    TabularOptions { targets, ..TabularOptions::default() }
}

fn read(text: &[u8], options: &TabularOptions) -> Result<Tabular, DataError> {
    Tabular::from_bytes("t.csv", text, options)
}

#[test]
fn columns_are_found_by_name_wherever_they_stand() {
    let table = read(HOUSES, &options(&["price", "#1"])).unwrap();
    let names = |columns: &[vdn_train::data::TabularColumn]| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(names(table.targets()), ["price", "rooms"]);
    assert_eq!(names(table.features()), ["flag", "kind", "area"]);
    assert_eq!(table.targets()[0].values, ColumnValues::Numbers(vec![100.0, 200.0, 900.0, 50.0]));
    let ColumnValues::Categories { levels, codes } = &table.features()[1].values else {
        panic!("texts are categories")
    };
    assert_eq!(levels, &["a", "b", "c"]);
    assert_eq!(codes, &[Some(1), Some(0), Some(1), Some(2)]);
    // Named, in another order; another column is left out.
    let features = Some(vec!["area".to_owned(), "flag".to_owned()]);
    let table = read(HOUSES, &TabularOptions { features, ..options(&["price"]) }).unwrap();
    assert_eq!(names(table.features()), ["area", "flag"]);
    let ignore = vec!["kind".to_owned(), "flag".to_owned()];
    let table = read(HOUSES, &TabularOptions { ignore, ..options(&["price"]) }).unwrap();
    assert_eq!(names(table.features()), ["rooms", "area"]);
}

#[test]
fn categories_that_look_like_numbers_are_in_the_order_of_numbers() {
    let text = b"code,y\n10,1\n9,2\n,3\n10,4\n";
    let categories = vec!["code".to_owned()];
    let table = read(text, &TabularOptions { categories, ..options(&["y"]) }).unwrap();
    let ColumnValues::Categories { levels, codes } = &table.features()[0].values else { panic!() };
    assert_eq!((levels.len(), &levels[0], &levels[1]), (2, &"9".to_owned(), &"10".to_owned()));
    assert_eq!(codes, &[Some(1), Some(0), None, Some(1)]);
}

#[test]
fn inputs_are_standardised_by_training_rows_alone() {
    let table = read(HOUSES, &options(&["price"])).unwrap();
    let encoding = FeatureEncoding::fit(&table, &[0, 2], MissingFeature::Mean).unwrap();
    // Rooms 1 and 3: mean 2, deviation 1. Area 10 and 60: mean 35, deviation 25. No training row
    // lacks an area, so no input marks missing values. The flag is constant, and so is the kind.
    assert_eq!(encoding.constant(), ["flag", "kind"]);
    assert_eq!(encoding.encode(&table).unwrap(), [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0, -0.2]);
    let encoding = FeatureEncoding::fit(&table, &[0, 1, 2], MissingFeature::Mean).unwrap();
    // Rooms; kinds a and b; the area, and whether it is missing. The kind c was not in training.
    assert_eq!((encoding.width(), encoding.categories()), (5, vec!["kind".to_owned()]));
    let inputs = encoding.encode(&table).unwrap();
    let third = (2.0_f64 / 3.0).sqrt();
    let expected: [[f64; 5]; 4] = [
        [-1.0 / third, 0.0, 1.0, -1.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 1.0],
        [1.0 / third, 0.0, 1.0, 1.0, 0.0],
        [2.0 / third, 0.0, 0.0, -0.2, 0.0],
    ];
    for (row, (found, expected)) in inputs.chunks(5).zip(expected).enumerate() {
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14);
        assert!(near, "row {row}: {found:?}, not {expected:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let long: String = (0..1002).map(|i| format!("k{i},1\n")).collect();
    let long = format!("kind,y\n{long}");
    let twice = options(&["y", "y"]);
    let left_out = TabularOptions { ignore: vec!["y".into()], ..options(&["y"]) };
    let as_target = options(&["kind"]);
    let of_many = "tabular: t.csv:1002: column 1 (`kind`): more than 1000 categories; dates, names \
                   and identifiers tell nothing of other rows; leave the column out (`--ignore \
                   kind`)";
    let cases: [(&[u8], &TabularOptions, &str); 10] = [
        (b"a,y\n1,2\n3,4\n", &options(&["z"]), "t.csv: there is no column"),
        (b"a,y\n1,2\n", &twice, "tabular: the target y is named twice"),
        (b"a,y\n1,2\n", &left_out, "tabular: the target y is left out, too"),
        (b"y\n1\n", &options(&["y"]), "tabular: no column is left to be a feature"),
        (b"a,y\n", &options(&["y"]), "t.csv: "),
        (b"a,y\n1,2\nx,4\n", &options(&["y"]), "t.csv:3: column 1 (`a`): \"x\" is not"),
        (b"a,y\nx,2\n1,4\n", &options(&["y"]), "tabular: t.csv:3: column 1 (`a`): a number in"),
        (b"a,y\n1,2\ninf,4\n", &options(&["y"]), "t.csv:3: column 1 (`a`): \"inf\" is not"),
        (long.as_bytes(), &options(&["y"]), of_many),
        (long.as_bytes(), &as_target, "tabular: t.csv:1002: column 1 (`kind`): more than 1000"),
    ];
    for (text, options, expected) in cases {
        let error = read(text, options).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
    let table = read(HOUSES, &options(&["price"])).unwrap();
    let fit = |rows: &[usize], missing| FeatureEncoding::fit(&table, rows, missing);
    let known = fit(&[0, 2, 3], MissingFeature::Error).unwrap();
    let far = read(b"rooms,flag,kind,price,area\n1e308,5,a,1,1e308\n", &options(&["price"]));
    let few = FeatureEncoding { missing: MissingFeature::Error, ..known.clone() };
    let mut narrow = known.clone();
    if let vdn_train::data::EncodedColumn::Number { std, .. } = &mut narrow.columns[0] {
        *std = 1e-9;
    }
    let cases = [
        (
            fit(&[0, 1], MissingFeature::Error).map(|_| ()),
            "t.csv:3: column 5 (`area`): the value is missing",
        ),
        (
            fit(&[0, 9], MissingFeature::Mean).map(|_| ()),
            "feature encoding: there is no row 9, only 4",
        ),
        (fit(&[1], MissingFeature::Mean).map(|_| ()), "series `area`: there is no row"),
        (few.encode(&table).map(|_| ()), "t.csv:3: column 5 (`area`): the value is missing"),
        (narrow.encode(&far.unwrap()).map(|_| ()), "feature encoding: t.csv:2: `rooms`: "),
    ];
    for (found, expected) in cases {
        let error = found.expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\n   not {expected}");
    }
}

/// With this many columns, a search of all names for each of them would take minutes.
#[test]
fn columns_are_told_apart_without_a_search_for_each() {
    let names: Vec<String> = (0..250_000).map(|i| format!("s{i}")).collect();
    let text = format!("{}\n{}\n", names.join(","), vec!["1"; names.len()].join(","));
    let (targets, rest) = names.split_at(100_000);
    let (ignore, features) = rest.split_at(100_000);
    let [targets, ignore, categories] = [targets, ignore, features].map(<[String]>::to_vec);
    let wanted = TabularOptions { targets, ignore, categories, ..TabularOptions::default() };
    let table = read(text.as_bytes(), &wanted).unwrap();
    assert_eq!([table.targets().len(), table.features().len()], [100_000, 50_000]);
}

#[test]
fn a_number_far_beyond_the_training_rows_is_refused_with_its_line() {
    let table = read(b"x,y\n1,1\n2,2\n3,3\n1e19,4\n", &options(&["y"])).unwrap();
    let encoding = FeatureEncoding::fit(&table, &[0, 1, 2], MissingFeature::default()).unwrap();
    let error = encoding.encode(&table).unwrap_err().to_string();
    assert!(error.contains("t.csv:5: `x`: 1e19 is too far"), "{error}");
}
