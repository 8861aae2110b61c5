//! A photo's patches, projected, with the CLS token in front and positions added, as one operation.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, room, work};
use crate::{ParameterSpec, Parameters, Result};

/// CLIP's embedding of a photo, without gradient towards the pixels.
#[derive(Clone, Debug)]
pub struct PhotoTokens {
    shape: PhotoShape,
    packed: Packed,
}

#[derive(Clone, Copy, Debug)]
struct PhotoShape {
    patch: usize,
    width: usize,
}

const CHANNELS: usize = 3;

impl PhotoTokens {
    /// The parameters under `name`: `class_embedding` `[width]`, `patch_embedding.weight` `[width, 3, patch, patch]` and
    /// `position_embedding.weight` `[tokens, width]`.
    #[must_use]
    pub fn specs(name: &str, patch: usize, width: usize, tokens: usize) -> Vec<ParameterSpec> {
        vec![
            ParameterSpec::positions(format!("{name}.class_embedding"), &[width]),
            ParameterSpec::weight(
                format!("{name}.patch_embedding.weight"),
                &[width, CHANNELS, patch, patch],
            ),
            ParameterSpec::positions(format!("{name}.position_embedding.weight"), &[tokens, width]),
        ]
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, name: &str) -> Result<Self> {
        let parts = [
            "class_embedding",
            "patch_embedding.weight",
            "position_embedding.weight",
        ]
        .map(|part| parameters.get(&format!("{name}.{part}")))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
        let (width, _, patch, _) = parts[1].dims4()?;
        Ok(Self {
            shape: PhotoShape { patch, width },
            packed: Packed::new(parts)?,
        })
    }

    /// Pixels `[batch, 3, side, side]` to `[batch, tokens, width]`.
    ///
    /// # Errors
    /// When the side does not give as many tokens as there are positions.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        if !composite::wanted(pixels) {
            return Ok(pixels.contiguous()?.apply_op2(&self.packed.flat()?, self.shape)?);
        }
        let PhotoShape { patch, width } = self.shape;
        let (batch, channels, height, across) = pixels.dims4()?;
        let (rows, columns) = (height / patch, across / patch);
        let patches = pixels
            .reshape(&[batch, channels, rows, patch, columns, patch])?
            .permute([0, 2, 4, 1, 3, 5])?
            .reshape((batch, rows * columns, channels * patch * patch))?;
        let weight = self.packed.part(1).reshape((width, channels * patch * patch))?;
        let tokens = composite::linear(&patches, &weight, None)?;
        let class = self
            .packed
            .part(0)
            .reshape((1, 1, width))?
            .broadcast_as((batch, 1, width))?;
        Ok(Tensor::cat(&[class.contiguous()?, tokens], 1)?.broadcast_add(self.packed.part(2))?)
    }
}

struct Weights<'a> {
    class: &'a [f32],
    patch: View<'a>,
    positions: &'a [f32],
}

impl PhotoShape {
    fn inputs(&self) -> usize {
        CHANNELS * self.patch * self.patch
    }

    fn weights<'a>(&self, mut flat: &'a [f32]) -> Weights<'a> {
        let class = take(&mut flat, self.width);
        let patch = take(&mut flat, self.width * self.inputs());
        Weights {
            class,
            patch: View::new(patch, self.width, self.inputs()),
            positions: flat,
        }
    }

    /// Patches of one photo `[3, side, side]`, from `first` on, to rows `[.., 3 * patch * patch]`.
    fn unfold(&self, photo: &[f32], side: usize, first: usize, rows: &mut [f32]) {
        let (patch, grid) = (self.patch, side / self.patch);
        for (index, row) in rows.chunks_exact_mut(self.inputs()).enumerate() {
            let index = first + index;
            let corner = index / grid * patch * side + index % grid * patch;
            for (line, target) in row.chunks_exact_mut(patch).enumerate() {
                let source = line / patch * side * side + corner + line % patch * side;
                target.copy_from_slice(&photo[source..source + patch]);
            }
        }
    }
}

impl CustomOp2 for PhotoShape {
    fn name(&self) -> &'static str {
        "photo-tokens"
    }

    fn cpu_fwd(
        &self,
        pixels: &CpuStorage,
        pixel_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, channels, side, across) = pixel_layout.shape().dims4()?;
        let (pixels, weights) = (
            values(pixels, pixel_layout)?,
            self.weights(values(flat, flat_layout)?),
        );
        let patches = (side / self.patch) * (side / self.patch);
        let tokens = patches + 1;
        if channels != CHANNELS || side != across || weights.positions.len() != tokens * self.width {
            let positions = weights.positions.len() / self.width;
            candle_core::bail!(
                "photos of shape {:?} do not give {positions} tokens",
                pixel_layout.dims()
            );
        }
        let (photo, width) = (CHANNELS * side * side, self.width);
        let inputs = self.inputs();
        let mut out = vec![0.0; batch * tokens * width];
        let one = |pixels: &[f32], out: &mut [f32], cores: Cores| {
            room::with(patches * inputs, |rows| {
                work::rows(cores, rows, inputs, |first, rows| {
                    self.unfold(pixels, side, first, rows)
                });
                out.copy_from_slice(weights.positions);
                let (class, out) = out.split_at_mut(width);
                kernels::add(class, weights.class);
                let (rows, weight) = (View::new(rows, patches, inputs), weights.patch.transposed());
                multiply(
                    ViewMut::new(out, patches, width),
                    Old::Add,
                    1.0,
                    rows,
                    weight,
                    cores,
                );
            });
        };
        if work::in_turn(batch, inputs * width) {
            for (pixels, out) in pixels.chunks(photo).zip(out.chunks_mut(tokens * width)) {
                one(pixels, out, Cores::All);
            }
        } else {
            work::forward(batch, 1, tokens * width, &mut out, |index, _, out| {
                one(&pixels[index * photo..(index + 1) * photo], out, Cores::One);
            });
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, tokens, width))))
    }

    fn bwd(
        &self,
        pixels: &Tensor,
        flat: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (batch, _, side, _) = pixels.dims4()?;
        let patches = (side / self.patch) * (side / self.patch);
        let (photo, width) = (CHANNELS * side * side, self.width);
        let length = (patches + 1) * width;
        let dp = with_values([pixels, gradient], |[pixels, gradient]| {
            let outs = [&mut [] as &mut [f32], &mut []];
            Ok(work::backward(
                batch,
                1,
                [0, 0],
                outs,
                flat.elem_count(),
                |index, _, _, dp| {
                    let mut dp = dp;
                    let d_class = take_mut(&mut dp, width);
                    let d_patch = take_mut(&mut dp, width * self.inputs());
                    let mut rows = vec![0.0; patches * self.inputs()];
                    self.unfold(&pixels[index * photo..(index + 1) * photo], side, 0, &mut rows);
                    let gradient = &gradient[index * length..(index + 1) * length];
                    kernels::add(dp, gradient);
                    kernels::add(d_class, gradient);
                    let outer = View::new(&gradient[width..], patches, width);
                    let rows = View::new(&rows, patches, self.inputs());
                    let d_patch = ViewMut::new(d_patch, width, self.inputs());
                    multiply(d_patch, Old::Add, 1.0, outer.transposed(), rows, Cores::One);
                },
            ))
        })?;
        Ok((None, Some(tensor(dp, flat.dims())?)))
    }
}
