//! The kernels: element-wise maps, reductions, products, and the fused kernels of units.
//!
//! A kernel is a loop over slices. It knows shapes, SIMD levels and threads, but no gradients;
//! adjoints are kernels of their own. Its work is cut into tasks by the shapes alone, so the number
//! of threads cannot change a bit of the result.

mod blocking;
mod broadcast;
mod compiled_once;
mod concat;
mod dropout;
mod family;
mod fold;
mod layer_norm;
mod layer_norm_backward;
pub mod likelihood;
mod map;
mod matmul;
mod microkernel;
mod moving_average;
mod pack;
mod pool;
mod reduce;
mod shared_panels;
mod softmax;
mod tree;
pub mod unit;

pub use broadcast::{Broadcast, broadcast_copy, broadcast_shape, reduce_to_shape};
pub(crate) use compiled_once::CompiledOnce;
pub use concat::{concat, slice_axis, slice_axis_add, split, write_slice};
pub use dropout::dropout;
pub use family::{FamilyGradients, FamilyUnits, family_backward, family_forward};
pub use layer_norm::layer_norm;
pub use layer_norm_backward::{LayerNormGradients, layer_norm_backward};
pub use map::{
    Formula, Update, add_assign, axpy, copy, map, map_broadcast, scale, scale_assign, update,
};
pub use matmul::{Epilogue, Operand, matmul};
pub use moving_average::{moving_average, moving_average_backward};
pub use pool::{Pool, pool, pool_backward};
pub use reduce::{
    dot, expand_axis, max_axis, max_axis_backward, mean_axis, mean_axis_backward, sum_all,
    sum_axis, sum_axis_backward,
};
pub use softmax::{logsumexp, logsumexp_backward, softmax, softmax_backward};
