//! The kernels that take no formula from the caller. They are compiled here for both number types,
//! and not again in every crate that calls them.
//!
//! A generic function is compiled in the crate that calls it with a concrete type. A kernel
//! contains code for three SIMD levels, so one call would cost the caller seconds. Each such kernel
//! is therefore a thin generic function that calls [`CompiledOnce`], whose implementations are not
//! generic.

use super::layer_norm_backward::LayerNormGradients;
use super::likelihood::{Mixture, MixtureGradients};
use super::unit::{
    ConditionalGradients, ConditionalOutputs, ConditionalUnits, UnitGradients, UnitOutputs, Units,
};
use crate::noise::NoiseKey;
use crate::shape::Shape;

/// Declares the kernels and implements them for `f32` and `f64`.
macro_rules! kernels {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? = $body:expr;)*) => {
        /// The kernels for one number type.
        pub trait CompiledOnce: Sized {
            $(fn $name($($arg: $type),*) $(-> $result)?;)*
        }
        kernels! { @for f32 $(fn $name($($arg: $type),*) $(-> $result)? = $body;)* }
        kernels! { @for f64 $(fn $name($($arg: $type),*) $(-> $result)? = $body;)* }
    };
    (@for $number:ident $(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? = $body:expr;)*) => {
        impl CompiledOnce for $number {
            $(
                #[inline(never)]
                fn $name($($arg: $type),*) $(-> $result)? {
                    $body($($arg),*)
                }
            )*
        }
    };
}

/// The middle axis of `[outer, n, inner]`.
type Around = (usize, usize, usize);

kernels! {
    fn unit_forward(units: &Units<'_, Self>, outputs: UnitOutputs<'_, Self>) = super::unit::unit_forward_body;
    fn unit_backward(
        units: &Units<'_, Self>,
        gradients: &UnitGradients<'_, Self>,
        d_mu: Option<&mut [Self]>,
        d_logvar: Option<&mut [Self]>
    ) = super::unit::unit_backward_body;
    fn conditional_forward(units: &ConditionalUnits<'_, Self>, outputs: ConditionalOutputs<'_, Self>)
        = super::unit::conditional_forward_body;
    fn conditional_backward(units: &ConditionalUnits<'_, Self>, gradients: ConditionalGradients<'_, Self>)
        = super::unit::conditional_backward_body;
    fn fill_normal(key: NoiseKey, sample: u32, out: &mut [Self]) = NoiseKey::fill_normal_body;
    fn fill_uniform(key: NoiseKey, sample: u32, out: &mut [Self]) = NoiseKey::fill_uniform_body;
    fn dropout(x: &[Self], p: f64, key: NoiseKey, out: &mut [Self]) = super::dropout::dropout_body;

    fn mixture_nll(mixture: &Mixture<'_, Self>, saved: &mut [Self], rows: &mut [Self])
        = super::likelihood::mixture_nll_body;
    fn mixture_nll_backward(
        mixture: &Mixture<'_, Self>,
        saved: &[Self],
        slope: Self,
        gradients: MixtureGradients<'_, Self>
    ) = super::likelihood::mixture_nll_backward_body;

    fn layer_norm(
        x: &[Self],
        weight: &[Self],
        bias: &[Self],
        eps: f64,
        out: &mut [Self],
        mean: &mut [Self],
        rstd: &mut [Self]
    ) = super::layer_norm::layer_norm_body;
    fn layer_norm_backward(
        x: &[Self],
        weight: &[Self],
        mean: &[Self],
        rstd: &[Self],
        d_out: &[Self],
        gradients: LayerNormGradients<'_, Self>
    ) = super::layer_norm_backward::layer_norm_backward_body;

    fn softmax(x: &[Self], around: Around, out: &mut [Self]) = super::softmax::softmax_body;
    fn softmax_backward(y: &[Self], dy: &[Self], around: Around, dx: &mut [Self])
        = super::softmax::softmax_backward_body;
    fn logsumexp(x: &[Self], around: Around, out: &mut [Self]) = super::softmax::logsumexp_body;
    fn logsumexp_backward(x: &[Self], y: &[Self], d_out: &[Self], around: Around, dx: &mut [Self])
        = super::softmax::logsumexp_backward_body;

    fn sum_axis(x: &[Self], around: Around, out: &mut [Self]) = super::reduce::sum_axis_body;
    fn mean_axis(x: &[Self], around: Around, out: &mut [Self]) = super::reduce::mean_axis_body;
    fn max_axis(x: &[Self], around: Around, out: &mut [Self]) = super::reduce::max_axis_body;
    fn max_axis_backward(x: &[Self], max: &[Self], d_out: &[Self], around: Around, dx: &mut [Self])
        = super::reduce::max_axis_backward_body;
    fn expand_axis(x: &[Self], around: Around, factor: Self, out: &mut [Self]) = super::reduce::expand_axis_body;
    fn sum_all(x: &[Self]) -> Self = super::reduce::sum_all_body;
    fn dot(a: &[Self], b: &[Self]) -> Self = super::reduce::dot_body;
    fn broadcast_copy(x: &[Self], from: &Shape, out: &mut [Self], to: &Shape) = super::broadcast::broadcast_copy_body;
    fn reduce_to_shape(x: &[Self], from: &Shape, out: &mut [Self], to: &Shape)
        = super::broadcast::reduce_to_shape_body;

    fn moving_average(x: &[Self], n: usize, kernel: usize, out: &mut [Self])
        = super::moving_average::moving_average_body;
    fn moving_average_backward(d_out: &[Self], n: usize, kernel: usize, dx: &mut [Self])
        = super::moving_average::moving_average_backward_body;

    fn accumulate(y: &mut [Self], x: &[Self]) = super::map::add_assign_body;
    fn axpy(factor: Self, x: &[Self], y: &mut [Self]) = super::map::axpy_body;
    fn scale(factor: Self, x: &[Self], y: &mut [Self]) = super::map::scale_body;
    fn scale_assign(y: &mut [Self], factor: Self) = super::map::scale_assign_body;
}
