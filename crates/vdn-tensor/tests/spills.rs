//! The inner loops of the matrix product keep their tile in registers. The test disassembles its
//! own program and counts the vector registers that are moved to the stack and back.
//!
//! A tile that is one register too large still gives right results, at half the speed. Release
//! builds only: `cargo test --release -p vdn-tensor --test spills -- --nocapture` prints the loops.
//! Without `objdump` the test prints a sentence and passes.

use std::process::Command;
use vdn_tensor::Element;
use vdn_tensor::kernels::{Epilogue, Operand, matmul};

/// A loop without loops inside, by its instructions.
#[derive(Debug, Default)]
struct Loop {
    start: u64,
    instructions: usize,
    multiply_adds: usize,
    spills: usize,
}

/// The address and the text of an instruction.
fn instruction(line: &str) -> Option<(u64, &str)> {
    let (address, text) = line.trim_start().split_once(":\t")?;
    Some((u64::from_str_radix(address, 16).ok()?, text))
}

/// The address that a jump goes to.
fn jump(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let target = words.next()?;
    name.starts_with('j').then(|| u64::from_str_radix(target, 16).ok())?
}

fn loops(listing: &str) -> Vec<Loop> {
    let code: Vec<_> = listing.lines().filter_map(instruction).collect();
    let mut found = Vec::new();
    for (i, &(address, text)) in code.iter().enumerate() {
        let Some(target) = jump(text).filter(|&target| target < address) else { continue };
        let Ok(start) = code[..i].binary_search_by_key(&target, |&(at, _)| at) else { continue };
        let body = &code[start..=i];
        let inner = body[..body.len() - 1]
            .iter()
            .any(|&(at, text)| jump(text).is_some_and(|to| to <= at && to >= target));
        if inner || body.len() > 2000 {
            continue;
        }
        let mut own = Loop { start: target, instructions: body.len(), ..Loop::default() };
        for (_, text) in body {
            let wide = text.contains("%ymm") || text.contains("%zmm");
            // Scalars end in `ss` and `sd`. A spilled number can also be an operand.
            let fused = text.starts_with("vfmadd") && (text.contains("ps") || text.contains("pd"));
            own.multiply_adds += usize::from(wide && fused);
            own.spills += usize::from(wide && text.contains("(%rsp"));
        }
        found.push(own);
    }
    found
}

fn multiply<T: Element>() {
    let (x, mut c) = (vec![T::ONE; 200 * 200], vec![T::ZERO; 200 * 200]);
    for (a, b) in [(false, false), (true, false), (false, true)] {
        let [a, b] = [a, b].map(|transposed| Operand { data: &x, transposed });
        matmul(200, 200, 200, a, b, &mut c, Epilogue::None);
    }
    assert_eq!(c[7].to_f64(), 200.0);
}

#[test]
fn tiles_stay_in_registers() {
    // The products have to be part of this program.
    multiply::<f32>();
    multiply::<f64>();
    if cfg!(debug_assertions) || !cfg!(target_arch = "x86_64") {
        return println!("skipped: only release builds for x86-64 are looked at");
    }
    let program = std::env::current_exe().expect("a path");
    let listing = Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(program).output();
    let Ok(listing) = listing else { return println!("skipped: there is no objdump") };
    let all = loops(&String::from_utf8_lossy(&listing.stdout));
    // The unrolled loops of the tiles: a third and more of them are multiply-adds, four inner
    // indices' worth.
    let tiles: Vec<_> = all
        .iter()
        .filter(|l| l.multiply_adds >= 16 && 3 * l.multiply_adds >= l.instructions)
        .collect();
    for tile in &tiles {
        let Loop { start, instructions, multiply_adds, spills } = tile;
        println!(
            "{start:x}: {instructions} instructions, {multiply_adds} multiply-adds, {spills} spills"
        );
    }
    assert!(tiles.len() >= 4, "only {} tiles were recognised in {} loops", tiles.len(), all.len());
    let spilling = tiles.iter().filter(|tile| tile.spills > 0).count();
    assert_eq!(spilling, 0, "tiles that do not fit the registers: {tiles:?}");
}

#[test]
fn a_spill_is_found() {
    let listing = "  10:\tvmovups %zmm1,0x40(%rsp)\n  18:\tvfmadd231ps %zmm1,%zmm2,%zmm3\n  \
                   20:\tjne    10 <f+0x10>\n";
    let found = loops(listing);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].spills, found[0].multiply_adds, found[0].instructions), (1, 1, 3));
}
