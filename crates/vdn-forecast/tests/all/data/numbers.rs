//! Formats of numbers: thousands separators, signs and units, integers beyond 2^53.

use super::kinds::{file, y};
use super::series::{filled, load, options};

#[test]
fn numbers_with_points_between_thousands_or_with_signs() {
    let values = ["1.000", "1.102", "979", "823", "1.230"];
    let table =
        load(&file("a;b", 5, |r| format!("{};{}", values[r], values[r])), &options()).unwrap();
    assert_eq!(table.columns[0], [1000.0, 1102.0, 979.0, 823.0, 1230.0]);
    assert_eq!(
        table.notes,
        ["points in numbers are read as separators of thousands, because whole numbers of three \
          digits stand beside them"]
    );
    let tab = load(&file("a\tb", 5, |r| format!("{}\t{r}", values[r])), &options()).unwrap();
    assert_eq!(tab.columns[0][1], 1102.0);
    // A column whose numbers all have three decimals is not changed.
    let decimals = load(&file("a;b", 3, |r| format!("1.00{r};{}", 10 + r)), &options()).unwrap();
    assert_eq!(decimals.columns[0], [1.0, 1.001, 1.002]);
    for amount in ["€10.5", "10.5%", "(10.5)", "10.5 MW", "$1,100.50", "USD 10.5"] {
        for (header, row) in [("date,p", ""), ("date,p,id", ",#"), ("date,p,station_id", ",77")] {
            let text = file(header, 24, |r| {
                let row = row.replace('#', &(r + 1).to_string());
                format!("2021-03-{:02},\"{amount}\"{row}", r + 1)
            });
            let error = load(&text, &options()).unwrap_err().to_string();
            let expected = format!(
                "f.csv:2: column 2 (`p`): {amount:?} is a number with a sign or a unit; write \
                 numbers alone"
            );
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

#[test]
fn amounts_beside_numbers_are_left_out_with_a_note() {
    for amount in ["5 stars", "$3 off", "10.5 %", "(3)", "2 bottles of wine"] {
        let row = |r: usize| format!("2021-03-0{},\"{amount}\",{}", r + 1, 10.5 + r as f64);
        let table = load(&file("date,p,q", 4, row), &options()).unwrap();
        assert_eq!(table.names, ["q"]);
        assert_eq!(
            table.notes,
            [format!(
                "column `p` holds numbers with a sign or a unit (line 2: {amount:?}): left out"
            )]
        );
        // In the long form, amounts are values or a column besides the values, but never names of
        // series.
        let long = |values: &str| {
            let row = |r: usize| {
                let (name, day) = (["x", "z"][r / 4], r % 4 + 1);
                format!("{},\"{amount}\",{name},2021-03-0{day}", y(r))
            };
            load(&file(&format!("w,{values},name,ds"), 8, row), &options())
        };
        let table = long("note").unwrap();
        assert_eq!(
            (&table.names[..], table.columns[0].len()),
            (&["x", "z"].map(str::to_owned)[..], 4)
        );
        let error = long("value").unwrap_err().to_string();
        assert!(error.starts_with("f.csv:2: column 2 (`value`): "), "{error}");
    }
}

/// A search for the first value in all earlier rows, repeated for each row, takes half a minute.
#[test]
fn large_integers_behind_many_missing_values_take_no_time() {
    let rows = 200_000;
    let text = file("y,z", 2 * rows, |r| match r < rows {
        true => format!(",{}", r % 7),
        false => format!("{},{}", 1_152_921_504_606_846_976_u64 + 130 * r as u64, r % 7),
    });
    let start = std::time::Instant::now();
    let table = load(&text, &filled()).unwrap();
    assert_eq!(table.columns[0].len(), rows);
    assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());
}

#[test]
fn large_integers_keep_their_digits_however_they_are_written() {
    let first = 1_152_921_504_606_856_976_i128;
    let thousands = |mut x: i128| {
        let mut text = String::new();
        while x >= 1000 {
            text = format!(",{:03}{text}", x % 1000);
            x /= 1000;
        }
        format!("\"{x}{text}\"")
    };
    let power = |x: i128| format!("{}.{}e18", x / 10_i128.pow(18), x % 10_i128.pow(18));
    let spellings: [&dyn Fn(i128) -> String; 4] =
        [&|x| x.to_string(), &thousands, &|x| format!("{x}.0"), &power];
    for spelling in spellings {
        let text = file("date,y", 4, |r| {
            format!("2021-03-0{},{}", r + 1, spelling(first + 130 * r as i128))
        });
        let table = load(&text, &options()).unwrap();
        assert_eq!(table.columns[0], [0.0, 130.0, 260.0, 390.0], "{text}");
        assert_eq!(table.offset(0), first);
    }
    // Beyond 64 bits they are rounded, with a note.
    let text = file("date,y", 4, |r| format!("2021-03-0{},-118059162071741131342{r}", r + 1));
    let table = load(&text, &options()).unwrap();
    assert_eq!(table.notes, ["y: 4 integers have more than 53 bits: rounded"]);
    // Fill values among them.
    let text = file("date,y", 30, |r| {
        let value = first + 130 * r as i128;
        let value = if r == 7 { -9999 } else { value };
        let value = if r % 10 == 9 { i128::from(i64::MAX) } else { value };
        format!("2021-03-{:02},{value}", r + 1)
    });
    let notes = load(&text, &filled()).unwrap().notes.join("; ");
    assert!(notes.contains("y: 1 cell is -9999, kept as numbers"), "{notes}");
    assert!(notes.contains("y: 3 cells are 9.223372036854776e18, kept as numbers"), "{notes}");
}
