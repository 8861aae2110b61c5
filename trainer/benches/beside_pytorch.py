"""Times whole training steps of the demo's model beside the same model in PyTorch: a round of each in turn, in the same run, in f32.

    cargo build --release --workspace --example step_speed
    venv/bin/python trainer/benches/beside_pytorch.py TARGET/release/examples/step_speed [--batch 64] [--threads 2] [--rounds 9] [--steps 6]

`venv` needs torch, numpy and safetensors. Both sides start from the same weights and see the same photographs, maps and geocells: forward, masked
InfoNCE over seven levels, backward, clipping, AdamW with the same groups. Their losses must agree over the first steps before anything is timed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=9)
parser.add_argument("--steps", type=int, default=6)
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

torch.set_num_threads(arguments.threads)
EPSILON, HEADS, PATCH = 1e-5, 4, 8
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
PHOTOS, LEVELS = 512, 7


class Rust:
    def __init__(self, folder):
        command = [arguments.program, folder, str(arguments.batch), str(arguments.threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["losses"]


class Torch:
    def __init__(self, folder):
        world = load_file(os.path.join(folder, "world.safetensors"))
        self.images, self.maps = world.pop("images"), world.pop("maps").long()
        self.cells = [world.pop(f"cells.{level}") for level in range(LEVELS)]
        self.w = {name: tensor.clone().requires_grad_(True) for name, tensor in world.items()}
        decayed = [p for n, p in self.w.items() if self.decays(n, p) and not n.startswith("geographic.")]
        kept = [p for n, p in self.w.items() if not self.decays(n, p) and not n.startswith("geographic.")]
        geographic = [p for n, p in self.w.items() if n.startswith("geographic.")]
        self.optimizer = torch.optim.AdamW([
            dict(params=decayed, weight_decay=1e-4), dict(params=kept, weight_decay=0.0),
            dict(params=geographic, weight_decay=0.0, lr=2e-3),
        ], lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
        self.step = 0

    @staticmethod
    def decays(name, tensor):
        position = any(part in name for part in ("position", "class_token", "class_embedding"))
        return tensor.dim() > 1 and not position

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], EPSILON)

    def linear(self, name, x):
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    @staticmethod
    def split(x):
        return x.unflatten(-1, (HEADS, -1)).transpose(-2, -3)

    @staticmethod
    def quick_gelu(x):
        return x * torch.sigmoid(1.702 * x)

    def tower(self, pixels):
        v = "vision_model"
        x = F.conv2d(pixels, self.w[f"{v}.embeddings.patch_embedding.weight"], stride=PATCH).flatten(2).transpose(1, 2)
        cls = self.w[f"{v}.embeddings.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([cls, x], 1) + self.w[f"{v}.embeddings.position_embedding.weight"]
        x = self.norm(f"{v}.pre_layrnorm", x)
        layer = 0
        while f"{v}.encoder.layers.{layer}.layer_norm1.weight" in self.w:
            b = f"{v}.encoder.layers.{layer}"
            n = self.norm(f"{b}.layer_norm1", x)
            q, k, u = (self.split(self.linear(f"{b}.self_attn.{p}_proj", n)) for p in "qkv")
            a = F.scaled_dot_product_attention(q, k, u).transpose(-2, -3).flatten(-2)
            x = x + self.linear(f"{b}.self_attn.out_proj", a)
            n = self.norm(f"{b}.layer_norm2", x)
            x = x + self.linear(f"{b}.mlp.fc2", self.quick_gelu(self.linear(f"{b}.mlp.fc1", n)))
            layer += 1
        return x

    def fuse(self, r, maps):
        palette = self.w["fusion.map.palette"]
        colours = palette[torch.where(maps == 255, 150, maps)]
        batch, side = maps.shape[0], maps.shape[1] // PATCH
        patches = colours.view(batch, side, PATCH, side, PATCH, -1).permute(0, 1, 3, 2, 4, 5)
        s = self.linear("fusion.map.patch", patches.reshape(batch, side * side, -1))
        cls = self.w["fusion.map.class_token"].expand(batch, 1, -1)
        s = torch.cat([cls, s], 1) + self.w["fusion.map.positions"]
        block = 0
        while f"fusion.blocks.{block}.mlp.up.weight" in self.w:
            a, m = f"fusion.blocks.{block}.attention", f"fusion.blocks.{block}.mlp"
            last = f"fusion.blocks.{block + 1}.mlp.up.weight" not in self.w
            # Only the class token leaves the module: the last block asks for nothing else, as on the other side.
            ask, stream = (s[:, :1], r[:, :1]) if last else (s, r)
            q = self.linear(f"{a}.query", self.norm(f"{a}.query_norm", ask))
            latent = self.linear(f"{a}.latent", self.norm(f"{a}.context_norm", r))
            k, v = self.linear(f"{a}.key", latent), self.linear(f"{a}.value", latent)
            o = F.scaled_dot_product_attention(self.split(q), self.split(k), self.split(v))
            r = stream + self.linear(f"{a}.out", o.transpose(-2, -3).flatten(-2))
            r = r + self.linear(f"{m}.down", self.quick_gelu(self.linear(f"{m}.up", self.norm(f"{m}.norm", r))))
            block += 1
        return r[:, 0]

    def loss(self, photos):
        pixels = (self.images[photos].permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        fused = self.fuse(self.tower(pixels), self.maps[photos])
        v = F.normalize(self.linear("visual.projection", self.norm("visual.norm", fused)), dim=-1)
        total = 0.0
        for level in range(LEVELS):
            cells = self.cells[level][photos]
            rows = cells >= 0
            own = cells[rows]
            table = F.normalize(self.w[f"geographic.{level}.table"][own], dim=-1)
            logits = v[rows] @ table.T / self.w[f"geographic.{level}.log_temperature"].exp()
            same = own[:, None] == own[None, :]
            same.fill_diagonal_(False)
            total = total + F.cross_entropy(logits.masked_fill(same, float("-inf")), torch.arange(len(own)))
        return total

    def run(self, steps):
        losses, started = [], time.perf_counter()
        for _ in range(steps):
            photos = (self.step * arguments.batch + torch.arange(arguments.batch)) % PHOTOS
            self.step += 1
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(photos)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.w.values(), 1.0)
            self.optimizer.step()
            losses.append(loss.item())
        return time.perf_counter() - started, losses


with tempfile.TemporaryDirectory() as folder:
    rust = Rust(folder)
    _, ours = rust.run(3)
    torch_side = Torch(folder)
    _, theirs = torch_side.run(3)
    print("first losses", [f"{x:.5f}" for x in ours], "and", [f"{x:.5f}" for x in theirs])
    for a, b in zip(ours, theirs):
        if abs(a - b) > 2e-3 * b:
            sys.exit("the two sides do not compute the same")
    rates = {"geosurge": [], "PyTorch": []}
    for _ in range(arguments.rounds):
        for name, side in (("geosurge", rust), ("PyTorch", torch_side)):
            seconds, _ = side.run(arguments.steps)
            rates[name].append(arguments.steps * arguments.batch / seconds)
    rust.process.stdin.close()
    rust.process.wait()
    ours, theirs = (statistics.median(rates[name]) for name in ("geosurge", "PyTorch"))
    for name, rate in rates.items():
        print(f"{name}: median {statistics.median(rate):.1f} photographs/s, {min(rate):.1f} to {max(rate):.1f}")
    print(f"ratio {ours / theirs:.2f} (above 1: ours is faster), PyTorch {torch.__version__}, batch {arguments.batch}, {arguments.threads} threads")
