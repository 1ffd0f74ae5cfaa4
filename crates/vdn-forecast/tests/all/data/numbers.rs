//! Formats of numbers: thousands separators, signs and units, integers beyond 2^53.

use super::kinds::file;
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
        for beside in ["", ",1"] {
            let header = if beside.is_empty() { "date,p" } else { "date,p,q" };
            let text = file(header, 4, |r| format!("2021-03-0{},\"{amount}\"{beside}", r + 1));
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
