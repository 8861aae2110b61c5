//! Matrix products on slices, checked, over the kernels of the `gemm` crate that candle uses too.

use std::marker::PhantomData;
use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A dense row-major matrix.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` values apart.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// `count` rows from `first` on, of a row-major matrix.
    pub(crate) fn rows(self, first: usize, count: usize) -> Self {
        Self::strided(
            &self.data[first * self.row_stride..],
            count,
            self.columns,
            self.row_stride,
        )
    }

    /// Some rows, of a matrix of any strides.
    fn range(self, rows: Range<usize>) -> Self {
        let start = if rows.is_empty() {
            0
        } else {
            rows.start * self.row_stride
        };
        Self {
            data: &self.data[start..],
            rows: rows.len(),
            ..self
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix inside a slice, to be written.
pub(crate) struct ViewMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> ViewMut<'a> {
    /// To be written part by part.
    fn whole(self) -> Whole<'a> {
        Whole {
            start: self.data.as_mut_ptr(),
            rows: self.rows,
            columns: self.columns,
            row_stride: self.row_stride,
            held: PhantomData,
        }
    }

    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    pub(crate) fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
        }
    }
}

fn assert_fits(length: usize, rows: usize, columns: usize, row_stride: usize) {
    let last = if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    };
    assert!(
        last <= length,
        "a {rows} x {columns} matrix of stride {row_stride} does not fit in {length} values"
    );
    assert!(
        columns <= row_stride || rows <= 1,
        "rows of {columns} columns overlap at stride {row_stride}"
    );
}

/// What becomes of the values that the destination holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// They are replaced.
    Replace,
    /// The product is added to them.
    Add,
}

/// Whether one product is spread over the cores, or the caller already keeps them busy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    One,
    All,
}

/// `destination = scale * left * right`, or `+=`.
pub(crate) fn multiply(
    destination: ViewMut<'_>,
    old: Old,
    scale: f32,
    left: View<'_>,
    right: View<'_>,
    cores: Cores,
) {
    let (m, n, k) = (destination.rows, destination.columns, left.columns);
    assert!(
        left.rows == m && right.columns == n && right.rows == k,
        "matrices of these shapes have no product"
    );
    if m == 0 || n == 0 {
        return;
    }
    let whole = destination.whole();
    let product = |rows: Range<usize>, columns: Range<usize>| {
        let (left, right) = (
            left.range(rows.clone()),
            right.transposed().range(columns.clone()).transposed(),
        );
        whole.product(rows, columns, old, scale, left, right);
    };
    let threads = spread(cores, m * n * k);
    if threads <= 1 {
        product(0..m, 0..n);
    } else if n >= threads * NARROW {
        // Each core packs its columns of the right operand, the weights, and none packs them twice. The kernels' own division
        // packs them on one core while the others wait.
        parts(n, threads)
            .into_par_iter()
            .for_each(|columns| product(0..m, columns));
    } else {
        parts(m, threads)
            .into_par_iter()
            .for_each(|rows| product(rows, 0..n));
    }
}

/// The weights `[outputs, inputs]` of a linear layer.
#[derive(Clone, Copy)]
pub(crate) enum Linear<'a> {
    /// As they are stored.
    Rows(View<'a>),
    /// As the kernels read them, see [`Panels`].
    Panels(Panels<'a>),
}

impl<'a> Linear<'a> {
    /// From weights in panels, or in rows.
    pub(crate) fn new(weights: &'a [f32], outputs: usize, inputs: usize, in_panels: bool) -> Self {
        if in_panels {
            Self::Panels(Panels::new(weights, outputs, inputs))
        } else {
            Self::Rows(View::new(weights, outputs, inputs))
        }
    }

    /// The weights `[outputs, inputs]`, which must be in rows.
    pub(crate) fn rows(self) -> View<'a> {
        match self {
            Self::Rows(rows) => rows,
            Self::Panels(_) => panic!("weights in panels have no rows"),
        }
    }
}

/// Weights `[outputs, inputs]` in panels of [`PANEL`] outputs, each transposed to `[inputs, outputs of the panel]`. The kernels
/// pack what they read into such pieces, and transpose it while they do, for every product again; a copy is much cheaper.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    data: &'a [f32],
    outputs: usize,
    inputs: usize,
}

/// Outputs of a panel: a multiple of the kernels' own tiles, and few enough that a tile's rows are near each other.
const PANEL: usize = 256;

impl<'a> Panels<'a> {
    /// Panels that [`into_panels`] made.
    pub(crate) fn new(data: &'a [f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(data.len(), outputs * inputs, "panels of other weights");
        Self {
            data,
            outputs,
            inputs,
        }
    }

    /// Runs `each` over the pieces of panels, transposed weights `[inputs, columns]`, that make the columns.
    fn pieces(self, columns: Range<usize>, mut each: impl FnMut(Range<usize>, View<'a>)) {
        let mut start = columns.start;
        while start < columns.end {
            let panel = start / PANEL * PANEL;
            let width = PANEL.min(self.outputs - panel);
            let end = columns.end.min(panel + width);
            let data = &self.data[panel * self.inputs + (start - panel)..];
            each(start..end, View::strided(data, self.inputs, end - start, width));
            start = end;
        }
    }
}

/// Lays weights `[outputs, inputs]` out in [`Panels`].
pub(crate) fn into_panels(weights: &[f32], inputs: usize) -> Vec<f32> {
    let mut panels = vec![0.0; weights.len()];
    panels
        .par_chunks_mut((PANEL * inputs).max(1))
        .zip(weights.par_chunks((PANEL * inputs).max(1)))
        .for_each(|(panel, weights)| {
            let outputs = weights.len() / inputs;
            for (output, row) in weights.chunks_exact(inputs).enumerate() {
                for (input, weight) in row.iter().enumerate() {
                    panel[input * outputs + output] = *weight;
                }
            }
        });
    panels
}

/// The inverse of [`into_panels`].
fn from_panels(panels: &[f32], inputs: usize) -> Vec<f32> {
    let mut weights = vec![0.0; panels.len()];
    weights
        .par_chunks_mut((PANEL * inputs).max(1))
        .zip(panels.par_chunks((PANEL * inputs).max(1)))
        .for_each(|(weights, panel)| {
            let outputs = weights.len() / inputs;
            for (output, row) in weights.chunks_exact_mut(inputs).enumerate() {
                for (input, weight) in row.iter_mut().enumerate() {
                    *weight = panel[input * outputs + output];
                }
            }
        });
    weights
}

/// Flat parameters with the weights in these places, of so many inputs, in rows instead of panels.
pub(crate) fn in_rows(flat: &[f32], weights: &[(Range<usize>, usize)]) -> Vec<f32> {
    let mut flat = flat.to_vec();
    for (place, inputs) in weights {
        let rows = from_panels(&flat[place.clone()], *inputs);
        flat[place.clone()].copy_from_slice(&rows);
    }
    flat
}

/// `destination += x * weightsᵀ`.
pub(crate) fn add_linear(destination: ViewMut<'_>, x: View<'_>, weights: Linear<'_>, cores: Cores) {
    match weights {
        Linear::Rows(weights) => multiply(destination, Old::Add, 1.0, x, weights.transposed(), cores),
        Linear::Panels(panels) => {
            assert!(
                x.rows == destination.rows
                    && x.columns == panels.inputs
                    && destination.columns == panels.outputs,
                "rows, weights and results of these shapes do not fit"
            );
            let whole = destination.whole();
            let columns = |columns: Range<usize>| {
                panels.pieces(columns, |columns, weights| {
                    whole.product(0..x.rows, columns, Old::Add, 1.0, x, weights);
                });
            };
            match spread(cores, x.rows * panels.inputs * panels.outputs) {
                1 => columns(0..panels.outputs),
                threads => parts(panels.outputs, threads).into_par_iter().for_each(columns),
            }
        }
    }
}

/// How many cores share a product of so many multiplications.
fn spread(cores: Cores, multiplications: usize) -> usize {
    match cores {
        Cores::All if multiplications >= WORTH_SPREADING => rayon::current_num_threads(),
        _ => 1,
    }
}

/// Multiplications below which a product stays on its core.
const WORTH_SPREADING: usize = 1 << 19;
/// Fewest columns of a part.
const NARROW: usize = 64;
/// What the lengths of parts are multiples of: the widest vectors' values.
const VECTOR: usize = 16;

/// `0..length` in at most `count` ranges that touch and do not overlap.
fn parts(length: usize, count: usize) -> Vec<Range<usize>> {
    let size = length.div_ceil(count).next_multiple_of(VECTOR);
    (0..length)
        .step_by(size)
        .map(|start| start..(start + size).min(length))
        .collect()
}

/// A matrix that several cores write parts of.
struct Whole<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    held: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is only written by `Whole::product`, whose callers hand each part of it to one thread.
#[expect(
    unsafe_code,
    reason = "a pointer does not say by itself that its parts are written apart"
)]
unsafe impl Sync for Whole<'_> {}

impl Whole<'_> {
    /// A part of the matrix becomes `scale * left * right`, or that is added to it. Parts written at the same time must not overlap:
    /// `multiply` and `add_linear` see to it with [`parts`].
    fn product(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        old: Old,
        scale: f32,
        left: View<'_>,
        right: View<'_>,
    ) {
        assert!(
            rows.end <= self.rows && columns.end <= self.columns,
            "a part outside the matrix"
        );
        assert!(
            left.rows == rows.len() && right.columns == columns.len() && left.columns == right.rows,
            "matrices of these shapes have no product"
        );
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        // SAFETY: both operands were checked on construction to lie inside their slices for all rows and columns, the shapes
        // agree and the part lies inside the matrix (asserted above), which was a mutable slice checked in the same way and is
        // held for `'a`, so that it overlaps neither operand.
        #[expect(
            unsafe_code,
            reason = "the kernels take pointers; this is the one place that calls them"
        )]
        unsafe {
            gemm::gemm(
                rows.len(),
                columns.len(),
                left.columns,
                self.start.add(rows.start * self.row_stride + columns.start),
                1,
                self.row_stride as isize,
                old == Old::Add,
                left.data.as_ptr(),
                left.column_stride as isize,
                left.row_stride as isize,
                right.data.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                scale,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let left: Vec<f32> = (0..6).map(|i| i as f32).collect(); // 2 x 3
        let right: Vec<f32> = (0..12).map(|i| (i * i % 7) as f32).collect(); // 4 x 3, used transposed
        let mut out = vec![1.0; 2 * 5];
        let destination = ViewMut::strided(&mut out, 2, 4, 5);
        multiply(
            destination,
            Old::Add,
            2.0,
            View::new(&left, 2, 3),
            View::new(&right, 4, 3).transposed(),
            Cores::One,
        );
        for row in 0..2 {
            for column in 0..4 {
                let sum: f32 = (0..3).map(|i| left[row * 3 + i] * right[column * 3 + i]).sum();
                assert_eq!(out[row * 5 + column], 1.0 + 2.0 * sum);
            }
            assert_eq!(out[row * 5 + 4], 1.0, "the gap between rows is untouched");
        }
    }

    #[test]
    fn a_product_on_all_cores_is_that_on_one() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap();
        // Wide, tall, and with a rest in both directions.
        for (m, n, k) in [(33, 700, 40), (900, 30, 50), (130, 331, 64)] {
            let left: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
            let right: Vec<f32> = (0..n * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let run = |cores| {
                let mut out = vec![1.0; m * (n + 3)];
                let destination = ViewMut::strided(&mut out, m, n, n + 3);
                let right = View::new(&right, n, k).transposed();
                multiply(destination, Old::Add, 0.5, View::new(&left, m, k), right, cores);
                out
            };
            // Whole numbers, so that the order of the sums does not show.
            assert_eq!(
                pool.install(|| run(Cores::All)),
                run(Cores::One),
                "{m} x {n} x {k}"
            );
        }
    }

    #[test]
    fn panels_give_the_products_of_the_weights_that_they_were_made_of() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        // Fewer outputs than a panel, whole panels, and a rest.
        for (rows, outputs, inputs) in [(9, 40, 33), (130, 512, 64), (77, 700, 50)] {
            let x: Vec<f32> = (0..rows * inputs).map(|i| (i % 11) as f32 - 5.0).collect();
            let weights: Vec<f32> = (0..outputs * inputs).map(|i| (i % 17) as f32 - 8.0).collect();
            let panels = into_panels(&weights, inputs);
            assert_eq!(from_panels(&panels, inputs), weights);
            let run = |weights, cores| {
                let mut out = vec![2.0; rows * outputs];
                add_linear(
                    ViewMut::new(&mut out, rows, outputs),
                    View::new(&x, rows, inputs),
                    weights,
                    cores,
                );
                out
            };
            let expected = run(Linear::Rows(View::new(&weights, outputs, inputs)), Cores::One);
            let panels = Linear::Panels(Panels::new(&panels, outputs, inputs));
            assert_eq!(run(panels, Cores::One), expected);
            assert_eq!(pool.install(|| run(panels, Cores::All)), expected);
        }
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_view_outside_its_slice_is_refused() {
        let _ = View::new(&[0.0; 5], 2, 3);
    }
}
