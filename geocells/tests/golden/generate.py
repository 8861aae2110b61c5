#!/usr/bin/env python3
"""Writes s2.csv beside this file: what the C++ S2 library says about some hundred places.

    python3 -m venv venv && venv/bin/pip install s2geometry==0.14.0 && venv/bin/python generate.py

Places: poles, the antimeridian, the equator, corners and edges of the cube's faces, places a hair beside those, and random ones.
Each has its leaf id; one S2 level between 0 and 30 is chosen for each, and the cell of that level is described by its id, token,
first and last leaf, children, centre, corners (degrees) and approximate area (steradians). Floats are written in full.
"""

import csv
import math
import pathlib
import random

import s2geometry as s2


def places():
    yield from ((lat, lng) for lat in (-90.0, 90.0) for lng in (-180.0, -90.0, 0.0, 45.0, 180.0))
    yield from ((lat, lng) for lat in (-60.5, -10.0, 0.0, 33.3, 89.9) for lng in (-180.0, 180.0, 179.9999999, -179.9999999))
    # Edges of the cube between the four faces around the equator, and beside them.
    for lng in (-135.0, -45.0, 45.0, 135.0):
        for lat in (-30.0, -1e-9, 0.0, 1e-9, 20.0):
            for nudge in (-1e-10, 0.0, 1e-10):
                yield lat, lng + nudge
    # Corners of the cube and the edges around the polar faces. The eight exact corners are left out: there the
    # winner among three faces hangs on the last bit of a cosine.
    corner = math.degrees(math.atan(1.0 / math.sqrt(2.0)))
    for lat in (-corner, corner):
        for lng in (-135.0, -45.0, 45.0, 135.0):
            for dlat, dlng in ((1e-7, 0.0), (-1e-7, 0.0), (1e-7, 1e-7), (-1e-7, -1e-7)):
                yield lat + dlat, lng + dlng
    for lng in (-120.0, -70.0, -20.0, 10.0, 60.0, 100.0, 170.0):
        inner = (lng + 45.0) % 90.0 - 45.0
        edge = math.degrees(math.atan(math.cos(math.radians(inner))))
        for nudge in (-1e-9, 1e-9):
            yield edge + nudge, lng
            yield -edge + nudge, lng
    rng = random.Random(20)
    for _ in range(160):
        yield math.degrees(math.asin(rng.uniform(-1.0, 1.0))), rng.uniform(-180.0, 180.0)


def degrees(point):
    place = s2.S2LatLng(point)
    return [place.lat().degrees(), place.lng().degrees()]


def main():
    rows = []
    for index, (lat, lng) in enumerate(places()):
        leaf = s2.S2CellId(s2.S2LatLng.FromDegrees(lat, lng))
        level = (index * 7) % 31
        cell_id = leaf.parent(level)
        cell = s2.S2Cell(cell_id)
        children = [f"{cell_id.child(i).id():016x}" for i in range(4)] if level < 30 else []
        corners = [value for i in range(4) for value in degrees(cell.GetVertex(i))]
        rows.append(
            [repr(lat), repr(lng), f"{leaf.id():016x}", level, f"{cell_id.id():016x}", cell_id.ToToken()]
            + [f"{cell_id.range_min().id():016x}", f"{cell_id.range_max().id():016x}", " ".join(children)]
            + [" ".join(repr(value) for value in degrees(cell_id.ToPoint()))]
            + [" ".join(repr(value) for value in corners), repr(cell.ApproxArea())]
        )
    path = pathlib.Path(__file__).with_name("s2.csv")
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            "latitude longitude leaf s2_level id token range_min range_max children center vertices approx_area".split()
        )
        writer.writerows(rows)
    print(f"{len(rows)} places written to {path}")


if __name__ == "__main__":
    main()
