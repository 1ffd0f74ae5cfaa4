//! Prints the SIMD levels that this machine can run, one per line.

fn main() {
    for level in vdn_tensor::simd::available() {
        println!("{level}");
    }
}
