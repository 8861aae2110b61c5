"""Fixtures of tests/segmenters.rs: tiny OneFormer and SegFormer models with random weights, run by their reference.

    python -m venv venv && venv/bin/pip install torch "transformers==4.57.*" scipy pillow
    venv/bin/python models/tests/segmenters/make_fixtures.py [DIRECTORY]

Version 4.57 has the tensor names of the published files (5.x renames Swin's). Nothing is downloaded: weights, photos and
inputs come from fixed seeds. Every case is a directory in the hub's layout with `expected.safetensors` beside it.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from transformers import (OneFormerConfig, OneFormerForUniversalSegmentation, SegformerConfig,
                          SegformerForSemanticSegmentation, SegformerImageProcessor, SwinConfig)
from transformers.image_transforms import get_resize_output_image_size

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "fixtures", "segmenters")
TASK = [49406, 518, 10549, 533, 29119, 1550, 49407]   # "the task is semantic"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def randomise(model, seed, gains=()):
    """Gives every parameter and statistic values of its own, so that none can be left out unnoticed."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(list(model.named_parameters()) + list(model.named_buffers())):
            if not p.is_floating_point() or p.ndim == 0 or name.startswith("criterion"):
                continue
            r = torch.randn(p.shape, generator=random)
            if name.endswith("running_var"):
                p.copy_(0.5 + r.abs())
            elif name.endswith("sampling_offsets.bias"):
                p.add_(0.4 * r)
            elif p.ndim == 1 and name.endswith("weight"):
                p.copy_(1 + 0.2 * r)
            elif p.ndim == 1:
                p.copy_(0.15 * r)
            elif "queries_embedder" in name:
                p.copy_(3 * r)
            elif "level_embed" in name or "bias_table" in name:
                p.copy_(0.7 * r)
            else:
                gain = next((v for k, v in gains if k in name), 1.0)
                p.copy_(gain * r / math.sqrt(p[0].numel()))
    return model.eval()


def photo(width, height, seed):
    """Bands, blocks and discs: sharp edges, small as a PNG."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    bands = [(x * random.uniform(1, 9) + y * random.uniform(1, 9)) // 24 * 40 % 256 for _ in range(3)]
    image = Image.fromarray(np.stack(bands, -1).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for shape in (draw.rectangle, draw.ellipse) * 4:
        left, top = int(random.integers(0, width)), int(random.integers(0, height))
        box = [left, top, left + int(random.integers(4, width // 2)), top + int(random.integers(4, height // 2))]
        shape(box, fill=tuple(int(v) for v in random.integers(0, 256, 3)))
    return image


def normalised(image):
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).double() * (1 / 255)
    return (x.float() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def write_model(directory, model, preprocessor, pickle=False):
    os.makedirs(directory, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.to_json_file(os.path.join(directory, "config.json"), use_diff=True)
    with open(os.path.join(directory, "preprocessor_config.json"), "w") as f:
        json.dump(preprocessor, f, indent=1)
    state = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}
    if pickle:
        torch.save(state, os.path.join(directory, "pytorch_model.bin"))
    else:
        save_file(state, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})


def write_expected(directory, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()},
              os.path.join(directory, "expected.safetensors"))


def label_map(scores, size):
    """The class of every pixel, and by how much it won."""
    top = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)[0].topk(2, dim=0)
    return top.indices[0].to(torch.uint8), top.values[0] - top.values[1]


# ------------------------------------------------------------------------------------------------------- OneFormer
GAINS = (("class_embed", 5.0), ("mask_embed.layers.2", 1.5), ("transformer_module.decoder.layers", 2.0),
         ("query_transformer.decoder", 2.0))


def oneformer(name, seed, swin, model, size, batch_size, pickle=False):
    directory = os.path.join(OUT, name)
    stages = [f"stage{i + 1}" for i in range(len(swin["depths"]))]
    backbone = SwinConfig(**{"patch_size": 4, "mlp_ratio": 2.0, "out_features": stages[-4:], **swin})
    width = model.pop("width")
    config = OneFormerConfig(backbone_config=backbone, conv_dim=width, mask_dim=width, hidden_dim=width,
                             is_training=False, attn_implementation="eager", **model)
    net = randomise(OneFormerForUniversalSegmentation(config), seed, GAINS)
    write_model(directory, net, dict(
        do_normalize=True, do_rescale=True, do_resize=True, image_mean=MEAN, image_std=STD, resample=2,
        image_processor_type="OneFormerImageProcessor", rescale_factor=1 / 255, size=size,
        max_seq_length=config.task_seq_len, task_seq_length=config.task_seq_len), pickle)
    task = torch.tensor([TASK + [0] * (config.task_seq_len - len(TASK))])

    image = photo(163, 118, seed)
    image.save(os.path.join(directory, "photo.png"), optimize=True)
    height, width = get_resize_output_image_size(np.array(image), size["shortest_edge"], default_to_square=False,
                                                 max_size=size["longest_edge"], input_data_format="channels_last")
    resized = image.resize((width, height), Image.BILINEAR)
    pixels = normalised(resized)[None]
    queries = []
    net.model.transformer_module.decoder.query_transformer.register_forward_hook(
        lambda _module, _inputs, out: queries.append(out[0]))
    second = torch.randn(2, 3, *batch_size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        o = net(pixel_values=pixels, task_inputs=task, output_hidden_states=True, output_auxiliary_logits=True)
        o2 = net(pixel_values=second, task_inputs=task.repeat(2, 1))
    expected = dict(resized=torch.from_numpy(np.array(resized)), task_token=o.task_token, object_queries=queries[0],
                    **{f"map.{i}": m for i, m in enumerate(o.encoder_hidden_states)},
                    mask_features=o.pixel_decoder_hidden_states[0],
                    **{f"level.{i}": m for i, m in enumerate(o.pixel_decoder_hidden_states[1:])})
    predictions = list(o.auxiliary_predictions) + [dict(class_queries_logits=o.class_queries_logits,
                                                        masks_queries_logits=o.masks_queries_logits)]
    for i, p in enumerate(predictions):
        expected[f"prediction.{i}.classes"] = p["class_queries_logits"]
        # A part of the cells shows a difference as well.
        step = 2 if i + 1 == len(predictions) else 5
        expected[f"prediction.{i}.masks"] = p["masks_queries_logits"][..., ::step, ::step]
    scores = torch.einsum("bqc,bqhw->bchw", o.class_queries_logits.softmax(-1)[..., :-1],
                          o.masks_queries_logits.sigmoid())
    expected["label_map"], expected["margin"] = label_map(scores, (image.height, image.width))
    expected["margin"] = expected["margin"].half()
    expected.update({"batch.pixels": second, "batch.classes": o2.class_queries_logits, "batch.masks": o2.masks_queries_logits[..., ::3, ::3]})
    write_expected(directory, expected)
    check = {k: v for k, v in expected.items() if v.is_floating_point()}
    print(name, sum(p.numel() for p in net.parameters()), "parameters,", tuple(pixels.shape[2:]), "px,",
          len(expected["label_map"].unique()), "classes seen,",
          f"largest {max(v.abs().max().item() for v in check.values()):.0f}")


# ------------------------------------------------------------------------------------------------------- SegFormer
def segformer(name, seed, model, size, batch_size):
    directory = os.path.join(OUT, name)
    net = randomise(SegformerForSemanticSegmentation(SegformerConfig(**model)), seed, (("classifier", 3.0),))
    processor = SegformerImageProcessor(size=dict(size), image_mean=MEAN, image_std=STD)
    write_model(directory, net, json.loads(processor.to_json_string()))
    image = photo(163, 118, seed)
    image.save(os.path.join(directory, "photo.png"), optimize=True)
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    resized = image.resize((size["width"], size["height"]), Image.BILINEAR)
    assert (normalised(resized) - pixels[0]).abs().max() < 1e-5
    second = torch.randn(2, 3, *batch_size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        o = net(pixel_values=pixels, output_hidden_states=True)
        o2 = net(pixel_values=second)
    expected = dict(resized=torch.from_numpy(np.array(resized)), logits=o.logits[..., ::2, ::2],
                    **{f"map.{i}": m for i, m in enumerate(o.hidden_states)}, **{"batch.logits": o2.logits[..., ::3, ::3], "batch.pixels": second})
    expected["label_map"], expected["margin"] = label_map(o.logits, (image.height, image.width))
    expected["margin"] = expected["margin"].half()
    write_expected(directory, expected)
    print(name, sum(p.numel() for p in net.parameters()), "parameters,", len(expected["label_map"].unique()), "classes seen")


if __name__ == "__main__":
    torch.set_num_threads(1)
    # Odd depths, an even window, padding of patches and windows, 3 stages of 4, another class count.
    oneformer("oneformer-a", 12, dict(embed_dim=12, depths=[1, 2, 3, 1], num_heads=[1, 2, 3, 4], window_size=4,
                                     image_size=96),
              dict(width=32, num_queries=9, encoder_feedforward_dim=40, dim_feedforward=48, encoder_layers=2,
                   decoder_layers=6, num_attention_heads=4, query_dec_layers=1, num_labels=37, task_seq_len=77),
              dict(shortest_edge=70, longest_edge=140), (61, 90))
    # A window larger than the coarse maps, biases left out, normalisation before, no task norm, weights as a pickle.
    oneformer("oneformer-b", 12, dict(embed_dim=8, depths=[2, 1, 2, 2], num_heads=[2, 2, 4, 8], window_size=5,
                                     qkv_bias=False, hidden_act="relu", layer_norm_eps=1e-6, image_size=64),
              dict(width=32, num_queries=7, encoder_feedforward_dim=24, dim_feedforward=32, encoder_layers=1,
                   decoder_layers=4, num_attention_heads=8, query_dec_layers=2, num_labels=150, task_seq_len=20,
                   pre_norm=True, use_task_norm=False, layer_norm_eps=1e-6),
              dict(shortest_edge=96, longest_edge=120), (40, 33), pickle=True)
    segformer("segformer-a", 5, dict(depths=[1, 2, 1, 1], hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 2, 3, 4],
                                     decoder_hidden_size=20, num_labels=150, sr_ratios=[8, 4, 2, 1]),
              dict(height=96, width=96), (64, 101))
    segformer("segformer-b", 6, dict(depths=[2, 1, 2], num_encoder_blocks=3, hidden_sizes=[8, 12, 16],
                                     num_attention_heads=[2, 1, 4], patch_sizes=[5, 3, 3], strides=[3, 2, 2],
                                     mlp_ratios=[2, 4, 3], decoder_hidden_size=16, num_labels=21, sr_ratios=[4, 3, 1]),
              dict(height=90, width=111), (47, 66))
