"""What CLIP's reference image processor makes of awkward photographs.

    python make_fixtures.py          # transformers 4.57 with Pillow, numpy, torch; writes beside this file

A photograph is opened as transformers' own `load_image` opens it (EXIF orientation applied, converted to RGB) and goes through
CLIPImageProcessor, once for each way of writing its configuration; both must agree. Stored are the photographs, the crops in
u8 (Pillow resizes in u8, so that nothing is lost), and for some the normalised values.
"""
import json
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from transformers import CLIPImageProcessor
from transformers.image_utils import load_image

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 56
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
# Else one pixel, or three rows, would be taken for channels.
LAST = dict(input_data_format="channels_last")
BASE = dict(do_center_crop=True, do_normalize=True, do_resize=True, image_mean=MEAN, image_std=STD, resample=3)
OLD = dict(BASE, crop_size=SIDE, size=SIDE, feature_extractor_type="CLIPFeatureExtractor")
NEW = dict(BASE, crop_size={"height": SIDE, "width": SIDE}, size={"shortest_edge": SIDE}, do_convert_rgb=True,
           do_rescale=True, rescale_factor=1 / 255, image_processor_type="CLIPImageProcessor")


def picture(width, height, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    a = [127 + 120 * np.sin(x / width * rng.uniform(2, 9) + y / height * rng.uniform(2, 9) + k) for k in range(3)]
    image = Image.fromarray(np.stack(a, -1).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        box = [left, top, left + int(rng.integers(1, max(2, width // 3))), top + int(rng.integers(1, max(2, height // 3)))]
        draw.rectangle(box, fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    return image


def png16(path, samples):
    """A 16-bit PNG, which Pillow cannot write in colour: 1, 2, 3 or 4 channels."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + samples[y].astype(">u2").tobytes() for y in range(height))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def wide16(image, channels, seed):
    """16 bits, the lower eight of them busy."""
    a = np.array(image.convert("RGB")).astype(np.uint32) * 257
    a = np.clip(a + np.random.default_rng(seed).integers(-128, 128, a.shape), 0, 65535).astype(np.uint16)
    if channels == 1:
        return a[..., :1]
    if channels == 4:
        return np.concatenate([a, np.full_like(a[..., :1], 20000)], -1)
    return a


def write_photographs():
    def at(name):
        return os.path.join(HERE, name)
    picture(90, 131, 1).save(at("portrait.png"), optimize=True)
    picture(133, 75, 2).save(at("landscape.png"), optimize=True)
    picture(56, 56, 3).save(at("same_size.png"), optimize=True)
    picture(1, 1, 4).save(at("one_pixel.png"))
    picture(2, 3, 5).save(at("six_pixels.png"))
    picture(7, 5, 6).save(at("tiny.png"))
    picture(900, 20, 7).save(at("very_wide.png"), optimize=True)
    picture(12, 700, 8).save(at("very_tall.png"), optimize=True)
    alpha = picture(80, 70, 9)
    alpha.putalpha(Image.fromarray((np.linspace(0, 255, 80)[None, :].repeat(70, 0)).astype(np.uint8)))
    alpha.save(at("alpha.png"), optimize=True)
    picture(75, 90, 10).convert("L").save(at("grey.png"), optimize=True)
    alpha.convert("LA").save(at("grey_alpha.png"), optimize=True)
    picture(75, 90, 11).convert("1").save(at("black_and_white.png"), optimize=True)
    picture(75, 64, 12).quantize(64).save(at("palette.png"), optimize=True)
    png16(at("sixteen_bits.png"), wide16(picture(70, 61, 13), 3, 1))
    png16(at("sixteen_bits_alpha.png"), wide16(picture(70, 61, 14), 4, 2))
    png16(at("sixteen_bits_grey.png"), wide16(picture(70, 61, 15), 1, 3))
    picture(96, 72, 16).save(at("jpeg.jpg"), quality=95, subsampling=0)
    picture(96, 72, 17).save(at("jpeg_halved_colour.jpg"), quality=90, subsampling=2)
    picture(96, 72, 18).convert("L").save(at("jpeg_grey.jpg"), quality=95)
    picture(96, 72, 19).convert("CMYK").save(at("jpeg_cmyk.jpg"), quality=95, subsampling=0)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture(64, 40, 20).save(at(f"oriented_{orientation}.jpg"), quality=95, subsampling=0, exif=exif)


def main():
    write_photographs()
    for name, config in (("old", OLD), ("new", NEW)):
        folder = os.path.join(HERE, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
            json.dump(config, f, indent=2)
    old, new = CLIPImageProcessor(**OLD), CLIPImageProcessor(**NEW)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    out = {}
    for name in sorted(os.listdir(HERE)):
        if not name.endswith((".png", ".jpg")):
            continue
        image = load_image(os.path.join(HERE, name))
        raw = Image.open(os.path.join(HERE, name))
        values = new(images=image, return_tensors="pt", **LAST)["pixel_values"][0]
        assert torch.equal(values, old(images=image, return_tensors="pt", **LAST)["pixel_values"][0]), name
        crop = ((values * std + mean) * 255).round().to(torch.uint8)
        assert (((crop.float() / 255 - mean) / std) - values).abs().max() < 1e-6, name
        out[f"{name}.crop"] = crop.permute(1, 2, 0).contiguous()
        if name in ("portrait.png", "sixteen_bits.png"):
            out[f"{name}.values"] = values.contiguous()
        print(name, raw.mode, raw.size, "->", image.size)
    save_file(out, os.path.join(HERE, "expected.safetensors"))


if __name__ == "__main__":
    main()
