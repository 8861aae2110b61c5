//! Matrix products on slices, checked, over the kernels of the `gemm` crate that candle uses too.

use gemm::Parallelism;

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
    let parallelism = match cores {
        Cores::One => Parallelism::None,
        Cores::All => Parallelism::Rayon(rayon::current_num_threads()),
    };
    // SAFETY: every view was checked on construction to lie inside its slice for all rows and columns, the shapes agree
    // (asserted above), and the destination is borrowed mutably, so that it overlaps neither operand.
    #[expect(
        unsafe_code,
        reason = "the kernels take pointers; this is the one place that calls them"
    )]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination.data.as_mut_ptr(),
            1,
            destination.row_stride as isize,
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
            parallelism,
        );
    }
}

#[cfg(test)]
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
    #[should_panic(expected = "does not fit")]
    fn a_view_outside_its_slice_is_refused() {
        let _ = View::new(&[0.0; 5], 2, 3);
    }
}
