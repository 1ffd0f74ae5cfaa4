//! Element-wise operations, and operations that change shapes.

use super::Case;
use super::Domain::{AwayFromKinks, NearZero, Positive, Real};
use vdn_autograd::Pool;
use vdn_tensor::noise::NoiseKey;

pub(super) const ELEMENTWISE: &[Case<'_>] = &[
    ("neg", &[(&[19], Real)], |t, v| t.neg(v[0])),
    ("scale", &[(&[19], Real)], |t, v| t.scale(v[0], -2.5)),
    ("add_scalar", &[(&[19], Real)], |t, v| t.add_scalar(v[0], -2.5)),
    ("exp", &[(&[3, 7], Real)], |t, v| t.exp(v[0])),
    ("ln", &[(&[19], Positive)], |t, v| t.ln(v[0])),
    ("sqrt", &[(&[19], Positive)], |t, v| t.sqrt(v[0])),
    ("square", &[(&[19], Real)], |t, v| t.square(v[0])),
    ("tanh", &[(&[40], Real)], |t, v| t.tanh(v[0])),
    ("sigmoid", &[(&[40], Real)], |t, v| t.sigmoid(v[0])),
    ("softplus", &[(&[40], Real)], |t, v| t.softplus(v[0])),
    ("relu", &[(&[40], AwayFromKinks)], |t, v| t.relu(v[0])),
    ("gelu", &[(&[40], Real)], |t, v| t.gelu(v[0])),
    ("ln_normal_cdf", &[(&[40], Real)], |t, v| t.ln_normal_cdf(v[0])),
    ("ln_normal_cdf far out", &[(&[40], Real)], |t, v| {
        let far = t.add_scalar(v[0], -6.0)?;
        t.ln_normal_cdf(far)
    }),
    ("abs", &[(&[40], AwayFromKinks)], |t, v| t.abs(v[0])),
    ("pow 3", &[(&[40], Real)], |t, v| t.pow(v[0], 3.0)),
    ("pow -2", &[(&[19], Positive)], |t, v| t.pow(v[0], -2.0)),
    ("pow 1.7", &[(&[19], Positive)], |t, v| t.pow(v[0], 1.7)),
    ("where_mask", &[(&[3, 5], Real), (&[5], Real)], |t, v| {
        let mask = t.constant([3, 1], &[1.0, 0.0, -1.0])?;
        t.where_mask(mask, v[0], v[1])
    }),
    ("clamp", &[(&[40], AwayFromKinks)], |t, v| t.clamp(v[0], -1.0, 1.0)),
    ("min_scalar", &[(&[40], AwayFromKinks)], |t, v| t.min_scalar(v[0], 1.0)),
    ("add", &[(&[3, 5], Real), (&[3, 5], Real)], |t, v| t.add(v[0], v[1])),
    ("add row", &[(&[3, 5], Real), (&[5], Real)], |t, v| t.add(v[0], v[1])),
    ("sub column", &[(&[3, 1], Real), (&[2, 3, 5], Real)], |t, v| t.sub(v[0], v[1])),
    ("sub scalar", &[(&[3, 5], Real), (&[], Real)], |t, v| t.sub(v[0], v[1])),
    ("mul", &[(&[3, 5], Real), (&[3, 5], Real)], |t, v| t.mul(v[0], v[1])),
    ("mul outer", &[(&[3, 1], Real), (&[1, 5], Real)], |t, v| t.mul(v[0], v[1])),
    ("mul by itself", &[(&[7], Real)], |t, v| t.mul(v[0], v[0])),
    ("div", &[(&[3, 5], Real), (&[3, 5], Positive)], |t, v| t.div(v[0], v[1])),
    ("div row", &[(&[3, 5], Real), (&[5], Positive)], |t, v| t.div(v[0], v[1])),
    ("div by itself", &[(&[7], Positive)], |t, v| t.div(v[0], v[0])),
    (
        "kl_gaussian",
        &[(&[4, 5], Real), (&[4, 5], Real), (&[4, 5], Real), (&[4, 5], Real)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
    (
        "kl_gaussian broadcast",
        &[(&[4, 5], Real), (&[5], Real), (&[], Real), (&[4, 1], Real)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
    (
        "kl_gaussian near equality",
        &[(&[9], NearZero), (&[9], NearZero), (&[9], NearZero), (&[9], NearZero)],
        |t, v| t.kl_gaussian(v[0], v[1], v[2], v[3]),
    ),
];

pub(super) const STRUCTURE: &[Case<'_>] = &[
    ("sum", &[(&[3, 50], Real)], |t, v| t.sum(v[0])),
    ("mean", &[(&[3, 50], Real)], |t, v| t.mean(v[0])),
    ("sum_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.sum_axis(v[0], 0)),
    ("sum_axis 1", &[(&[3, 4, 5], Real)], |t, v| t.sum_axis(v[0], 1)),
    ("mean_axis 2", &[(&[3, 4, 5], Real)], |t, v| t.mean_axis(v[0], 2)),
    ("mean_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.mean_axis(v[0], 0)),
    ("max_axis 0", &[(&[3, 4, 5], Real)], |t, v| t.max_axis(v[0], 0)),
    ("max_axis 2", &[(&[3, 4, 17], Real)], |t, v| t.max_axis(v[0], 2)),
    ("var_axis 0", &[(&[4, 3, 2], Real)], |t, v| t.var_axis(v[0], 0)),
    ("var_axis 1", &[(&[3, 19], Real)], |t, v| t.var_axis(v[0], 1)),
    ("softmax", &[(&[3, 18], Real)], |t, v| t.softmax(v[0])),
    ("softmax_axis 0", &[(&[4, 3, 2], Real)], |t, v| t.softmax_axis(v[0], 0)),
    ("logsumexp 0", &[(&[4, 3], Real)], |t, v| t.logsumexp(v[0], 0)),
    ("logsumexp 1", &[(&[4, 19], Real)], |t, v| t.logsumexp(v[0], 1)),
    ("log_softmax 0", &[(&[4, 3, 2], Real)], |t, v| t.log_softmax(v[0], 0)),
    ("log_softmax 1", &[(&[4, 19], Real)], |t, v| t.log_softmax(v[0], 1)),
    ("autoregression", &[(&[5, 3], Real)], |t, v| t.autoregression(v[0], 0.7)),
    ("autoregression, one step", &[(&[1, 2], Real)], |t, v| t.autoregression(v[0], -0.4)),
    ("cumsum 0", &[(&[4, 3], Real)], |t, v| t.cumsum(v[0], 0)),
    ("cumsum 1", &[(&[2, 4, 3], Real)], |t, v| t.cumsum(v[0], 1)),
    ("permute", &[(&[2, 3, 4], Real)], |t, v| t.permute(v[0], &[1, 2, 0])),
    ("gather", &[(&[4, 3], Real)], |t, v| {
        let rows = t.indices([2, 3], &[3, 0, 3, 3, 1, 0])?;
        t.gather(v[0], rows)
    }),
    ("concat", &[(&[2, 1, 3], Real), (&[2, 4, 3], Real)], |t, v| t.concat(&[v[0], v[1], v[0]], 1)),
    ("slice_axis", &[(&[2, 5, 3], Real)], |t, v| t.slice_axis(v[0], 1, 1, 3)),
    ("slices that overlap", &[(&[2, 5, 3], Real)], |t, v| {
        // The source itself is used as well, before and after its slices.
        let first = t.square(v[0])?;
        let [a, b] = [t.slice_axis(v[0], 1, 0, 4)?, t.slice_axis(v[0], 1, 2, 3)?];
        let [a, b] = [t.exp(a)?, t.tanh(b)?];
        let last = t.sigmoid(v[0])?;
        t.concat(&[first, a, b, last], 1)
    }),
    ("select", &[(&[2, 5, 3], Real)], |t, v| t.select(v[0], 1, 3)),
    ("split", &[(&[2, 5, 3], Real)], |t, v| {
        let parts = t.split(v[0], 1, &[1, 0, 4])?;
        let squares = t.square(parts[2])?;
        t.concat(&[squares, parts[0], parts[1]], 1)
    }),
    ("unbind", &[(&[3, 4], Real)], |t, v| {
        let rows = t.unbind(v[0], 0)?;
        let product = t.mul(rows[0], rows[2])?;
        t.mul(product, rows[1])
    }),
    ("broadcast_to", &[(&[3, 1], Real)], |t, v| t.broadcast_to(v[0], [2, 3, 4])),
    ("reshape", &[(&[6], Real)], |t, v| {
        let square = t.square(v[0])?;
        t.reshape(square, [2, 3])
    }),
    ("moving_average 5", &[(&[2, 9], Real)], |t, v| t.moving_average(v[0], 5)),
    ("moving_average 4", &[(&[2, 3], Real)], |t, v| t.moving_average(v[0], 4)),
    ("moving_average_adjoint 5", &[(&[2, 9], Real)], |t, v| t.moving_average_adjoint(v[0], 5)),
    ("moving_average_adjoint 4", &[(&[2, 3], Real)], |t, v| t.moving_average_adjoint(v[0], 4)),
    ("dropout", &[(&[4, 9], Real)], |t, v| t.dropout(v[0], 0.4, NoiseKey::new(1, 2, 3))),
    ("pool mean", &[(&[2, 3, 8], Real)], |t, v| t.pool(v[0], 4, Pool::Mean)),
    ("pool sum", &[(&[2, 3, 8], Real)], |t, v| t.pool(v[0], 2, Pool::Sum)),
    ("pool sum_sqrtk", &[(&[2, 3, 6], Real)], |t, v| t.pool(v[0], 3, Pool::SumSqrtK)),
    ("matmul", &[(&[3, 4], Real), (&[4, 5], Real)], |t, v| t.matmul(v[0], v[1], false, false)),
    ("matmul a^T", &[(&[4, 3], Real), (&[4, 5], Real)], |t, v| t.matmul(v[0], v[1], true, false)),
    ("matmul b^T", &[(&[3, 4], Real), (&[5, 4], Real)], |t, v| t.matmul(v[0], v[1], false, true)),
    ("matmul a^T b^T", &[(&[4, 3], Real), (&[5, 4], Real)], |t, v| {
        t.matmul(v[0], v[1], true, true)
    }),
    ("batch_matmul", &[(&[2, 2, 3, 4], Real), (&[2, 2, 4, 5], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], false, false)
    }),
    ("batch_matmul a^T", &[(&[2, 4, 3], Real), (&[2, 4, 5], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], true, false)
    }),
    ("batch_matmul b^T", &[(&[2, 3, 4], Real), (&[2, 5, 4], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], false, true)
    }),
    ("batch_matmul a^T b^T", &[(&[2, 4, 3], Real), (&[2, 5, 4], Real)], |t, v| {
        t.batch_matmul(v[0], v[1], true, true)
    }),
    ("matmul by itself", &[(&[4, 4], Real)], |t, v| t.matmul(v[0], v[0], true, false)),
    ("affine", &[(&[3, 4], Real), (&[5, 4], Real), (&[5], Real)], |t, v| {
        t.affine(v[0], v[1], Some(v[2]))
    }),
    ("affine without bias", &[(&[2, 3, 4], Real), (&[5, 4], Real)], |t, v| {
        t.affine(v[0], v[1], None)
    }),
    ("layer_norm", &[(&[3, 20], Real), (&[20], Real), (&[20], Real)], |t, v| {
        t.layer_norm(v[0], v[1], v[2], 1e-5)
    }),
];
