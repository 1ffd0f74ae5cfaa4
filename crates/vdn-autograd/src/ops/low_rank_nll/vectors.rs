//! Loops over rows of `f64`. The compiler turns them into vectors of the SIMD level into which they
//! are inlined. Products are rounded before they are added, in a fixed order, so all levels give
//! the same bits.

/// The number of partial sums of a scalar product.
const PARTS: usize = 8;

/// The number of rows processed at once, so that the row they share is read once.
pub(super) const ROWS: usize = 4;

/// `sum_i a_i b_i`, in eight partial sums.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((own, last), (other, rest)) = (a.as_chunks::<PARTS>(), b.as_chunks::<PARTS>());
    let mut sums = [0.0; PARTS];
    for at in 0..own.len().min(other.len()) {
        add_products(&mut sums, &own[at], &other[at]);
    }
    total(&sums) + products_of(last, rest)
}

/// The scalar products of `a` with several rows of its length.
#[inline(always)]
pub(super) fn dots(a: &[f64], rows: [&[f64]; ROWS]) -> [f64; ROWS] {
    let (own, last) = a.as_chunks::<PARTS>();
    let n = own.len();
    let [(b, b_rest), (c, c_rest), (d, d_rest), (e, e_rest)] = [
        rows[0].as_chunks::<PARTS>(),
        rows[1].as_chunks::<PARTS>(),
        rows[2].as_chunks::<PARTS>(),
        rows[3].as_chunks::<PARTS>(),
    ];
    let (b, c, d, e) = (&b[..n], &c[..n], &d[..n], &e[..n]);
    let [mut of_b, mut of_c, mut of_d, mut of_e] = [[0.0; PARTS]; ROWS];
    for at in 0..n {
        let x = &own[at];
        add_products(&mut of_b, x, &b[at]);
        add_products(&mut of_c, x, &c[at]);
        add_products(&mut of_d, x, &d[at]);
        add_products(&mut of_e, x, &e[at]);
    }
    [
        total(&of_b) + products_of(last, b_rest),
        total(&of_c) + products_of(last, c_rest),
        total(&of_d) + products_of(last, d_rest),
        total(&of_e) + products_of(last, e_rest),
    ]
}

#[inline(always)]
fn add_products(sums: &mut [f64; PARTS], a: &[f64; PARTS], b: &[f64; PARTS]) {
    for lane in 0..PARTS {
        sums[lane] += a[lane] * b[lane];
    }
}

#[inline(always)]
fn total(s: &[f64; PARTS]) -> f64 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// The products of fewer than eight numbers.
#[inline(always)]
fn products_of(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for i in 0..a.len().min(b.len()) {
        sum += a[i] * b[i];
    }
    sum
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
