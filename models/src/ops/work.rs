//! How a batch is divided among cores, so that sums come out the same whatever their number.

use rayon::prelude::*;

use super::matrix::Cores;

/// Parts that a backward pass is divided into. Fixed, because each sums the gradients of its part in order.
const PARTS: usize = 8;

/// Runs `compute(first, units, part of each output)` over `count` units (photos or rows) in parallel, `group` at a time.
/// `out` holds `unit_length` values a unit.
pub(crate) fn forward(
    count: usize,
    group: usize,
    unit_length: usize,
    out: &mut [f32],
    compute: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    out.par_chunks_mut((group * unit_length).max(1))
        .enumerate()
        .for_each(|(index, out)| {
            let first = index * group;
            compute(first, group.min(count - first), out);
        });
}

/// As [`forward`] with two outputs, plus gradients of `parameters` values that every part sums up for itself and that
/// are then added in the order of the parts. Returns the summed gradients.
pub(crate) fn backward(
    count: usize,
    group: usize,
    lengths: [usize; 2],
    outs: [&mut [f32]; 2],
    parameters: usize,
    compute: impl Fn(usize, usize, [&mut [f32]; 2], &mut [f32]) + Sync,
) -> Vec<f32> {
    let part = count.div_ceil(PARTS).max(1);
    let [first_out, second_out] = outs;
    let [first_length, second_length] = lengths;
    let mut firsts = split(first_out, part * first_length, count.div_ceil(part));
    let mut seconds = split(second_out, part * second_length, count.div_ceil(part));
    let gradients: Vec<Vec<f32>> = firsts
        .par_iter_mut()
        .zip(&mut seconds)
        .enumerate()
        .map(|(index, (first_out, second_out))| {
            let mut gradient = vec![0.0; parameters];
            let units = part.min(count - index * part);
            for start in (0..units).step_by(group) {
                let size = group.min(units - start);
                let first_out = window(first_out, start, size, first_length);
                let second_out = window(second_out, start, size, second_length);
                compute(index * part + start, size, [first_out, second_out], &mut gradient);
            }
            gradient
        })
        .collect();
    let mut gradients = gradients.into_iter();
    let mut sum = gradients.next().unwrap_or_else(|| vec![0.0; parameters]);
    for gradient in gradients {
        super::kernels::add(&mut sum, &gradient);
    }
    sum
}

fn window(out: &mut [f32], start: usize, size: usize, length: usize) -> &mut [f32] {
    &mut out[start * length..(start + size) * length]
}

/// Cuts a slice into `pieces` of `length`, the last one shorter; an empty slice into empty pieces.
fn split(out: &mut [f32], length: usize, pieces: usize) -> Vec<&mut [f32]> {
    if length == 0 {
        return (0..pieces).map(|_| Default::default()).collect();
    }
    out.chunks_mut(length).collect()
}

/// Rows to take at once, when rows are independent: enough to keep the products efficient, few enough to stay in cache.
pub(crate) fn row_group(rows: usize) -> usize {
    let cores = rayon::current_num_threads().max(1);
    rows.div_ceil(cores).clamp(1, 192)
}

/// Weights beyond which a core's cache holds no copy of them beside its rows.
const LARGE: usize = 1 << 18;

/// Whether to go through photos (or rows) in groups with all cores on each product, rather than to give each core its
/// own: when there are fewer than cores, or when every core would pack large weights for itself.
pub(crate) fn in_turn(units: usize, weights: usize) -> bool {
    weights > LARGE || units < rayon::current_num_threads()
}

/// Rows that share one product when groups take turns: more make no difference to its speed, and take memory.
pub(crate) const ROWS_IN_TURN: usize = 1024;

/// Photos of `rows` rows each that make a group of [`ROWS_IN_TURN`].
pub(crate) fn photos_in_turn(rows: usize) -> usize {
    (ROWS_IN_TURN / rows.max(1)).max(1)
}

/// Runs `compute(first, rows of out)` over the rows of `out`.
pub(crate) fn rows(cores: Cores, out: &mut [f32], width: usize, compute: impl Fn(usize, &mut [f32]) + Sync) {
    let count = out.len() / width.max(1);
    match cores {
        Cores::One => compute(0, out),
        Cores::All => forward(count, row_group(count), width, out, |first, _, out| {
            compute(first, out)
        }),
    }
}

/// As [`row_group`] for single products without anything else to keep in cache: larger groups, so that the weights are
/// packed less often.
pub(crate) fn large_row_group(rows: usize) -> usize {
    let cores = rayon::current_num_threads().max(1);
    rows.div_ceil(cores).clamp(1, 512)
}

/// Runs `compute(index, piece)` over pieces of any lengths in parallel.
pub(crate) fn each(pieces: &mut [&mut [f32]], compute: impl Fn(usize, &mut [f32]) + Sync) {
    pieces
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, piece)| compute(index, piece));
}
