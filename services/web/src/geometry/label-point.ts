// Where a polygon's name is written: its centre of area, or a point well inside when that lies outside.
import type { Position } from "geojson";

const RADIANS = Math.PI / 180;

/** The point in degrees and the polygon's area in square degrees of a cylindrical equal-area map. */
export function labelPoint(rings: readonly Position[][]): { point: Position; area: number } {
  const ring = rings[0] ?? [];
  let area = 0;
  let longitude = 0;
  let latitude = 0;
  for (let index = 0; index + 1 < ring.length; index += 1) {
    const [x0 = 0, y0 = 0] = ring[index] ?? [];
    const [x1 = 0, y1 = 0] = ring[index + 1] ?? [];
    const cross = (x0 * y1 - x1 * y0) / 2;
    area += cross;
    longitude += (cross * (x0 + x1)) / 3;
    latitude += (cross * (y0 + y1)) / 3;
  }
  if (area === 0) return { point: [...(ring[0] ?? [0, 0])], area: 0 };
  const centre: Position = [longitude / area, latitude / area];
  const point = contains(ring, centre) ? centre : widestMiddle(ring, centre[1] ?? 0);
  return { point, area: Math.abs(area) * Math.cos((centre[1] ?? 0) * RADIANS) };
}

/** Whether a point is inside a ring, by counting crossings to its east. */
export function contains(ring: readonly Position[], [x = 0, y = 0]: Position): boolean {
  return crossings(ring, y).filter((crossing) => crossing > x).length % 2 === 1;
}

/** The middle of the ring's widest stretch along a parallel. */
function widestMiddle(ring: readonly Position[], latitude: number): Position {
  const sorted = crossings(ring, latitude).toSorted((a, b) => a - b);
  let best: [number, number] = [sorted[0] ?? 0, sorted[0] ?? 0];
  for (let index = 0; index + 1 < sorted.length; index += 2) {
    const [from = 0, to = 0] = [sorted[index], sorted[index + 1]];
    if (to - from > best[1] - best[0]) best = [from, to];
  }
  return [(best[0] + best[1]) / 2, latitude];
}

function crossings(ring: readonly Position[], latitude: number): number[] {
  const found: number[] = [];
  for (let index = 0; index + 1 < ring.length; index += 1) {
    const [x0 = 0, y0 = 0] = ring[index] ?? [];
    const [x1 = 0, y1 = 0] = ring[index + 1] ?? [];
    if (y0 > latitude !== y1 > latitude) found.push(x0 + ((latitude - y0) / (y1 - y0)) * (x1 - x0));
  }
  return found;
}
