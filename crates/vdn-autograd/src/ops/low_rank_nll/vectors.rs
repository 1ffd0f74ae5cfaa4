//! Loops over rows of `f64`, which the compiler turns into vectors of the level they are inlined
//! into. Products are rounded before they are added, in a fixed order: every level has the same
//! bits.

/// Partial sums of a scalar product.
const PARTS: usize = 8;

/// Several rows at once, so that the row they share is read once.
pub(super) const ROWS: usize = 4;

/// `sum_i a_i b_i`.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    dots(a, [b])[0]
}

/// The scalar products of `a` with several rows, each in eight partial sums.
#[inline(always)]
pub(super) fn dots<const K: usize>(a: &[f64], rows: [&[f64]; K]) -> [f64; K] {
    let len = a.len();
    let whole = len / PARTS * PARTS;
    let mut sums = [[0.0; PARTS]; K];
    let mut at = 0;
    while at < whole {
        let own = &a[at..at + PARTS];
        for k in 0..K {
            let other = &rows[k][at..at + PARTS];
            for lane in 0..PARTS {
                sums[k][lane] += own[lane] * other[lane];
            }
        }
        at += PARTS;
    }
    let mut found = [0.0; K];
    for k in 0..K {
        let mut rest = 0.0;
        for i in whole..len {
            rest += a[i] * rows[k][i];
        }
        let s = &sums[k];
        found[k] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + rest;
    }
    found
}

/// `row -= factor * other`.
#[inline(always)]
pub(super) fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    let len = row.len();
    let other = &other[..len];
    for i in 0..len {
        row[i] -= factor * other[i];
    }
}

/// `row -= sum_k factors_k * others_k`, one `k` after the other.
#[inline(always)]
pub(super) fn subtract_all(row: &mut [f64], factors: [f64; ROWS], others: [&[f64]; ROWS]) {
    let len = row.len();
    let [a, b, c, d] = others;
    let (a, b, c, d) = (&a[..len], &b[..len], &c[..len], &d[..len]);
    let [fa, fb, fc, fd] = factors;
    for i in 0..len {
        row[i] = (((row[i] - fa * a[i]) - fb * b[i]) - fc * c[i]) - fd * d[i];
    }
}

/// `row *= factor`.
#[inline(always)]
pub(super) fn scale(row: &mut [f64], factor: f64) {
    for value in row {
        *value *= factor;
    }
}
