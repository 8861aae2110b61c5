"""Uploads the reference images that `stores_at_scale data` wrote with Qdrant's Python client, and says how fast that was.

pip install qdrant-client numpy
python benches/upload.py DIR 1000000 http://127.0.0.1:6334 [PARALLEL]
"""

import sys
import time
import uuid

import numpy
from qdrant_client import QdrantClient, models

folder, count, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
parallel = int(sys.argv[4]) if len(sys.argv) > 4 else 1
host, port = url.removeprefix("http://").split(":")
client = QdrantClient(host=host, port=int(port) - 1, grpc_port=int(port), prefer_grpc=True, timeout=120)
vectors = numpy.load(f"{folder}/references.npy", mmap_mode="r")[:count]
cells = numpy.load(f"{folder}/cells.npy", mmap_mode="r")[:count]


def token(cell):
    """The S2 token: hexadecimal without trailing zeros."""
    return f"{int(cell):016x}".rstrip("0")


def points():
    for number in range(count):
        yield models.PointStruct(
            id=str(uuid.UUID(int=number)),
            vector={"visual": vectors[number].tolist()},
            payload={"geocell": token(cells[number]), "path": f"{number:07}.jpg"},
        )


name = "python_references"
if client.collection_exists(name):
    client.delete_collection(name)
client.create_collection(
    name,
    vectors_config={"visual": models.VectorParams(size=vectors.shape[1], distance=models.Distance.DOT)},
    optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
)
client.create_payload_index(name, "geocell", models.PayloadSchemaType.KEYWORD, wait=True)
started = time.time()
client.upload_points(name, points(), batch_size=500, parallel=parallel, wait=True)
seconds = time.time() - started
found = client.count(name, exact=True).count
print(f"{found} points by Python, {parallel} processes, in {seconds:.1f} s, {found / seconds:.0f}/s")
client.delete_collection(name)
