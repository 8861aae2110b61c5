"""Times the published encoders beside PyTorch: one pass of each in turn, on the same weights and input, in f32.

    cargo build --release --workspace --example encoder_speed
    venv/bin/python models/benches/beside_pytorch.py TARGET/release/examples/encoder_speed [CASE…] [--rounds 7] [--threads 2]

`venv` as in models/tests/segmenters/make_fixtures.py. Weights are random; results of both must agree before anything is
timed. For segmenters it also tells how many classes the reference's label map has and how many of its pixels are labelled otherwise. Prints the medians by the clock and of work on all cores (which other programs on the machine disturb less), their ratios
(above 1: ours is faster), and the peak memory of both processes.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file, save_file
from transformers import (CLIPVisionConfig, CLIPVisionModel, OneFormerConfig, OneFormerForUniversalSegmentation,
                          SegformerConfig, SegformerForSemanticSegmentation, SwinConfig)

TASK = [49406, 518, 10549, 533, 29119, 1550, 49407] + [0] * 70
LABELS = {i: f"class {i}" for i in range(150)}


def clip(batch):
    config = CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
                              image_size=336, patch_size=14)
    model = CLIPVisionModel(config)
    x = torch.randn(batch, 3, 336, 336)
    return "clip", model, x, lambda: dict(tokens=model(pixel_values=x).last_hidden_state)


def oneformer(embed_dim, depths, heads, window, queries, size):
    stages = ["stage1", "stage2", "stage3", "stage4"]
    swin = SwinConfig(embed_dim=embed_dim, depths=depths, num_heads=heads, window_size=window, out_features=stages)
    model = OneFormerForUniversalSegmentation(OneFormerConfig(backbone_config=swin, num_queries=queries, id2label=LABELS,
                                                              is_training=False))
    x, task = torch.randn(1, 3, *size), torch.tensor([TASK])

    def run():
        o = model(pixel_values=x, task_inputs=task)
        return dict(classes=o.class_queries_logits, masks=o.masks_queries_logits)
    return "oneformer", model, x, run


def segformer():
    model = SegformerForSemanticSegmentation(SegformerConfig(id2label=LABELS))
    x = torch.randn(1, 3, 512, 512)
    return "segformer", model, x, lambda: dict(logits=model(pixel_values=x).logits)


CASES = {
    "clip-vit-l-336": lambda: clip(1),
    "clip-vit-l-336-batch-4": lambda: clip(4),
    "oneformer-swin-t-512": lambda: oneformer(96, [2, 2, 6, 2], [3, 6, 12, 24], 7, 150, (512, 512)),
    "oneformer-swin-l-640x853": lambda: oneformer(192, [2, 2, 18, 2], [6, 12, 24, 48], 12, 250, (640, 853)),
    "segformer-b0-512": segformer,
}


def labels(results, size):
    """The semantic label map of what a segmenter made, as transformers' image processors make it."""
    if "logits" in results:
        scores = results["logits"]
    elif "masks" in results:
        classes = results["classes"].softmax(dim=-1)[..., :-1]
        scores = torch.einsum("bqc,bqhw->bchw", classes, results["masks"].sigmoid())
    else:
        return None
    return torch.nn.functional.interpolate(scores, size=size, mode="bilinear", align_corners=False).argmax(dim=1)


def compare(run, name, rounds, threads, program):
    torch.manual_seed(0)
    kind, model, x, forward = run()
    model.eval()
    with tempfile.TemporaryDirectory() as directory, torch.no_grad():
        for key, p in model.named_parameters():     # no parameter is what initialisation makes of all of them
            if p.ndim > 0 and "sampling_offsets.bias" not in key:
                p.add_(0.02 * torch.randn_like(p))
            # Initialised alone, all of OneFormer's queries end alike, and all pixels have the same label.
            for part, factor in [("queries_embedder.weight", 1000), ("class_embed.weight", 10), ("mask_embed.layers.2.0.weight", 5)]:
                if key.endswith(part):
                    p.mul_(factor)
        model.config.architectures = [type(model).__name__]
        model.config.to_json_file(os.path.join(directory, "config.json"), use_diff=False)
        with open(os.path.join(directory, "preprocessor_config.json"), "w") as f:
            json.dump({}, f)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(directory, "model.safetensors"))
        save_file({"pixel_values": x}, os.path.join(directory, "input.safetensors"))
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), CANDLE_NUM_THREADS=str(threads))
        ours = subprocess.Popen([program, kind, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                env=environment)
        if ours.stdout.readline().strip() != "ready":
            sys.exit(f"{name}: {program} failed")
        found, expected = load_file(os.path.join(directory, "found.safetensors")), forward()
        error = max(((found[k] - v).abs().max() / v.abs().max()).item() for k, v in expected.items())
        ours_labels, their_labels = labels(found, x.shape[-2:]), labels(expected, x.shape[-2:])
        labelled = ""
        if their_labels is not None:
            labelled = (f"   {their_labels.unique().numel()} classes, "
                        f"{100 * (ours_labels != their_labels).float().mean().item():.3f} % of labels differ")
        seconds, work = {"torch": [], "ours": []}, {"torch": [], "ours": []}
        for _ in range(rounds):
            started, busy = time.perf_counter(), time.process_time()
            forward()
            seconds["torch"].append(time.perf_counter() - started)
            work["torch"].append(time.process_time() - busy)
            ours.stdin.write("run\n")
            ours.stdin.flush()
            wall, busy = ours.stdout.readline().split()
            seconds["ours"].append(float(wall))
            work["ours"].append(float(busy))
        peak = int(ours.communicate("\n")[0].strip()) / 2**20
    torch_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    median = statistics.median
    print(f"{name:<25} seconds: torch {median(seconds['torch']):.2f}, ours {median(seconds['ours']):.2f}, "
          f"ratio {median(seconds['torch']) / median(seconds['ours']):.2f}   "
          f"core seconds: torch {median(work['torch']):.2f}, ours {median(work['ours']):.2f}, "
          f"ratio {median(work['torch']) / median(work['ours']):.2f}   "
          f"peak memory, GiB: torch {torch_peak:.2f}, ours {peak:.2f}   relative error {error:.0e}{labelled}", flush=True)
    if error > 1e-3:
        sys.exit(f"{name}: results differ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.cases and len(options.cases) == 1:
        compare(CASES[options.cases[0]], options.cases[0], options.rounds, options.threads, options.program)
    else:                                            # a process a case, so that peak memory is the case's
        for case in options.cases or CASES:
            subprocess.run([sys.executable, __file__, options.program, case, "--rounds", str(options.rounds),
                            "--threads", str(options.threads)], check=True)
