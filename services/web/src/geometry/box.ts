// Boxes of degrees, with care for the 180th meridian.
import type { Geometry, Position } from "geojson";

export interface Box {
  south: number;
  west: number;
  north: number;
  east: number;
}

export const WORLD: Box = { south: -90, west: -180, north: 90, east: 180 };

/** A box with longitudes between -180 and 180; one as wide as the world or wider is the whole world. */
export function normalised({ south, west, north, east }: Box): Box {
  const [low, high] = [Math.max(-90, south), Math.min(90, north)];
  if (east - west >= 360) return { south: low, west: -180, north: high, east: 180 };
  return { south: low, west: wrap(west), north: high, east: wrap(east) };
}

/** A longitude between -180 and 180. */
export function wrap(longitude: number): number {
  if (longitude >= -180 && longitude <= 180) return longitude;
  return ((((longitude + 180) % 360) + 360) % 360) - 180;
}

/** The smallest box round positions; `east` may pass 180 when that is narrower than going round the world. */
export function around(positions: readonly Position[]): Box | undefined {
  if (!positions.length) return undefined;
  const latitudes = positions.map(([, latitude = 0]) => latitude);
  const longitudes = positions.map(([longitude = 0]) => wrap(longitude)).toSorted((a, b) => a - b);
  // The widest stretch without a position is what the box leaves out.
  const first = longitudes[0] ?? 0;
  let west = first;
  let gap = first + 360 - (longitudes.at(-1) ?? first);
  for (const [index, longitude] of longitudes.entries()) {
    const next = longitudes[index + 1];
    if (next !== undefined && next - longitude > gap) {
      gap = next - longitude;
      west = next;
    }
  }
  return { south: Math.min(...latitudes), west, north: Math.max(...latitudes), east: west + 360 - gap };
}

/** All positions of a geometry. */
export function positions(geometry: Geometry): Position[] {
  if (geometry.type === "GeometryCollection") return geometry.geometries.flatMap(positions);
  const flatten = (value: unknown): Position[] => {
    if (!Array.isArray(value)) return [];
    return typeof value[0] === "number" ? [value as Position] : value.flatMap(flatten);
  };
  return flatten(geometry.coordinates);
}
