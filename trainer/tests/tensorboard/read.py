"""Reads a run's event files with TensorBoard and holds its curves against `metrics.jsonl`.

    python -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python trainer/tests/tensorboard/read.py RUN
"""
import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
events.Reload()
tags = events.Tags()["scalars"]
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def compare(tag, expected):
    got = [(e.step, e.value) for e in events.Scalars(tag)]
    assert [s for s, _ in got] == [s for s, _ in expected], f"{tag}: steps {got} {expected}"
    for (step, a), (_, b) in zip(got, expected):
        assert abs(a - b) <= 1e-6 * max(1.0, abs(b)), f"{tag} at {step}: {a} {b}"
    print(f"{tag}: {len(got)} points agree")


steps = [line for line in lines if line["kind"] == "step"]
validations = [line for line in lines if line["kind"] == "validation"]
assert steps and validations, "the run has no steps or no validation"
compare("train/loss", [(s["step"], s["loss"]) for s in steps])
compare("train/learning_rate", [(s["step"], s["learning_rate"]) for s in steps])
compare("train/gradient_norm", [(s["step"], s["gradient_norm"]) for s in steps])
compare("validation/score", [(v["step"], v["score"]) for v in validations])
for level in range(len(validations[0]["temperatures"])):
    compare(f"temperature/level_{level}", [(v["step"], v["temperatures"][level]) for v in validations])
for km in [1, 25, 200, 750, 2500]:
    compare(f"validation/within_{km}_km", [(v["step"], v["accuracy"][str(km)]) for v in validations])
print(f"{len(tags)} curves in {len(list((run / 'tensorboard').iterdir()))} file(s)")
