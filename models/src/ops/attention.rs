//! Multi-head attention of one photo, on slices, forward and backward. The two attention operations are built from it.

use super::kernels;
use super::matrix::{Cores, Old, View, ViewMut, multiply};

/// Heads side by side in rows: head `h` of a row is the values `h * size .. (h + 1) * size`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) count: usize,
    /// Width of one head.
    pub(crate) size: usize,
}

/// Queries, keys or values of one photo inside a larger row-major matrix: rows of `stride` values, starting at `offset`.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

impl<'a> Tokens<'a> {
    fn head(self, heads: Heads, head: usize) -> View<'a> {
        View::strided(
            &self.data[self.offset + head * heads.size..],
            self.count,
            heads.size,
            self.stride,
        )
    }
}

/// The same, to be written.
pub(crate) struct TokensMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

impl TokensMut<'_> {
    fn head(&mut self, heads: Heads, head: usize) -> ViewMut<'_> {
        ViewMut::strided(
            &mut self.data[self.offset + head * heads.size..],
            self.count,
            heads.size,
            self.stride,
        )
    }
}

impl Heads {
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Shares (softmaxed scores) of one head, `[queries, keys]`.
    fn shares(self, head: usize, queries: Tokens<'_>, keys: Tokens<'_>, shares: &mut [f32], cores: Cores) {
        let out = ViewMut::new(shares, queries.count, keys.count);
        multiply(
            out,
            Old::Replace,
            self.scale(),
            queries.head(self, head),
            keys.head(self, head).transposed(),
            cores,
        );
        kernels::softmax(shares, keys.count);
    }

    /// Writes the attended values. With `keep`, `shares` holds every head's shares afterwards
    /// (`[heads, queries, keys]`); otherwise it is room for one head.
    pub(crate) fn attend(
        self,
        [queries, keys, values]: [Tokens<'_>; 3],
        mut out: TokensMut<'_>,
        shares: &mut [f32],
        keep: bool,
        cores: Cores,
    ) {
        let size = queries.count * keys.count;
        for head in 0..self.count {
            let start = if keep { head * size } else { 0 };
            let shares = &mut shares[start..start + size];
            self.shares(head, queries, keys, shares, cores);
            let shares = View::new(shares, queries.count, keys.count);
            multiply(
                out.head(self, head),
                Old::Replace,
                1.0,
                shares,
                values.head(self, head),
                cores,
            );
        }
    }

    /// Gradients of queries, keys and values from that of the attended values. `shares` as [`Heads::attend`] kept them;
    /// overwritten. `scratch` is room for one head's scores.
    pub(crate) fn attend_backward(
        self,
        [queries, keys, values]: [Tokens<'_>; 3],
        d_out: Tokens<'_>,
        [d_queries, d_keys, d_values]: [&mut TokensMut<'_>; 3],
        shares: &mut [f32],
        scratch: &mut [f32],
    ) {
        let size = queries.count * keys.count;
        for head in 0..self.count {
            let shares = &mut shares[head * size..(head + 1) * size];
            let view = View::new(shares, queries.count, keys.count);
            let d_head = d_out.head(self, head);
            multiply(
                d_values.head(self, head),
                Old::Replace,
                1.0,
                view.transposed(),
                d_head,
                Cores::One,
            );
            let d_scores = ViewMut::new(scratch, queries.count, keys.count);
            multiply(
                d_scores,
                Old::Replace,
                1.0,
                d_head,
                values.head(self, head).transposed(),
                Cores::One,
            );
            for (shares, d_shares) in shares
                .chunks_exact_mut(keys.count)
                .zip(scratch.chunks_exact(keys.count))
            {
                let mean = kernels::dot(shares, d_shares);
                for (share, d_share) in shares.iter_mut().zip(d_shares) {
                    *share *= d_share - mean;
                }
            }
            let d_scores = View::new(shares, queries.count, keys.count);
            let scale = self.scale();
            multiply(
                d_queries.head(self, head),
                Old::Replace,
                scale,
                d_scores,
                keys.head(self, head),
                Cores::One,
            );
            let queries = queries.head(self, head);
            multiply(
                d_keys.head(self, head),
                Old::Replace,
                scale,
                d_scores.transposed(),
                queries,
                Cores::One,
            );
        }
    }
}
