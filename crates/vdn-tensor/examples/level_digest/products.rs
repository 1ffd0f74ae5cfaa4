//! The matrix product: all transposes and epilogues.

use crate::{Digest, numbers};
use vdn_tensor::Element;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};

pub(crate) fn lines<T: Element>(digest: &Digest) {
    let shapes =
        [[1, 33, 800], [7, 17, 33], [9, 40, 385], [65, 130, 3], [67, 97, 131], [40, 250, 769]];
    for [m, n, k] in shapes {
        digest.case(format!("matmul {m} {n} {k}"), || {
            let (a, b) = (numbers::<T>(30, m * k), numbers::<T>(31, k * n));
            let (bias, before) = (numbers::<T>(32, n), numbers::<T>(33, m * n));
            let mut parts = Vec::new();
            for (form, transposed_a, transposed_b) in [
                ("A B", false, false),
                ("A B'", false, true),
                ("A' B", true, false),
                ("A' B'", true, true),
            ] {
                let a = Operand { data: &a, transposed: transposed_a };
                let b = Operand { data: &b, transposed: transposed_b };
                for (after, epilogue) in [
                    ("", Epilogue::None),
                    (" + C", Epilogue::Accumulate),
                    (" + bias", Epilogue::Bias(&bias)),
                ] {
                    let mut c = before.clone();
                    matmul(m, n, k, a, b, &mut c, epilogue);
                    parts.push((format!("{form}{after}"), c));
                }
            }
            parts
        });
    }
}
