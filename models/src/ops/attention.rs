//! Multi-head attention of one photo, on slices, forward and backward. The two attention operations are built from it.

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::{kernels, room, work};

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

/// Scores that one core holds at once, so that they stay in its cache.
const SCORES: usize = 1 << 18;

/// Queries of one photo to take at once, so that their scores stay in a core's cache and every core has some.
pub(crate) fn queries_a_block(queries: usize, keys: usize, photos: usize) -> usize {
    let most = (SCORES / keys.max(1)).max(16);
    let a_photo = rayon::current_num_threads().div_ceil(photos.max(1));
    let blocks = queries.div_ceil(most).max(1).next_multiple_of(a_photo.max(1));
    queries.div_ceil(blocks).max(1)
}

impl Heads {
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Shares (softmaxed scores) of one head, `[queries, keys]`.
    fn shares(self, head: usize, queries: Tokens<'_>, keys: Tokens<'_>, shares: &mut [f32]) {
        let out = ViewMut::new(shares, queries.count, keys.count);
        multiply(
            out,
            Old::Replace,
            self.scale(),
            queries.head(self, head),
            keys.head(self, head).transposed(),
            Cores::One,
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
    ) {
        let size = queries.count * keys.count;
        for head in 0..self.count {
            let start = if keep { head * size } else { 0 };
            let shares = &mut shares[start..start + size];
            self.shares(head, queries, keys, shares);
            let shares = View::new(shares, queries.count, keys.count);
            multiply(
                out.head(self, head),
                Old::Replace,
                1.0,
                shares,
                values.head(self, head),
                Cores::One,
            );
        }
    }

    /// The attended values of photos one after the other, `[photos, queries, heads * size]`. The tokens are those of the
    /// first photo, and the others' follow them. On all cores, each takes blocks of queries.
    pub(crate) fn attend_photos(
        self,
        [queries, keys, values]: [Tokens<'_>; 3],
        out: &mut [f32],
        cores: Cores,
    ) {
        let width = self.count * self.size;
        let photos = out.len() / (queries.count * width).max(1);
        let block = match cores {
            Cores::One => queries.count.max(1),
            Cores::All => queries_a_block(queries.count, keys.count, photos),
        };
        let a_photo = queries.count.div_ceil(block);
        let mut pieces: Vec<_> = out
            .chunks_mut((queries.count * width).max(1))
            .flat_map(|photo| photo.chunks_mut(block * width))
            .collect();
        let attend = |index: usize, out: &mut [f32]| {
            let (photo, first) = (index / a_photo, index % a_photo * block);
            let count = out.len() / width;
            let of = |tokens: Tokens<'_>, row: usize| tokens.offset + row * tokens.stride;
            let queries = Tokens {
                offset: of(queries, photo * queries.count + first),
                count,
                ..queries
            };
            let [keys, values] = [keys, values].map(|tokens| Tokens {
                offset: of(tokens, photo * tokens.count),
                ..tokens
            });
            let out = TokensMut {
                data: out,
                offset: 0,
                stride: width,
                count,
            };
            room::with(count * keys.count, |shares| {
                self.attend([queries, keys, values], out, shares, false);
            });
        };
        match cores {
            Cores::One => pieces
                .iter_mut()
                .enumerate()
                .for_each(|(index, out)| attend(index, out)),
            Cores::All => work::each(&mut pieces, attend),
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
