// Distances and lines on the sphere.
import type { Position } from "geojson";

/** Mean radius in kilometres, as everywhere in the service. */
const RADIUS = 6371;
const RADIANS = Math.PI / 180;

interface Location {
  latitude: number;
  longitude: number;
}

/** Great-circle distance in kilometres (haversine). */
export function distance(a: Location, b: Location): number {
  const latitude = Math.sin(((b.latitude - a.latitude) * RADIANS) / 2);
  const longitude = Math.sin(((b.longitude - a.longitude) * RADIANS) / 2);
  const chord =
    latitude ** 2 + Math.cos(a.latitude * RADIANS) * Math.cos(b.latitude * RADIANS) * longitude ** 2;
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** The shortest line between two places as positions, in `steps` equal parts. */
export function greatCircle(a: Location, b: Location, steps = 64): Position[] {
  const angle = distance(a, b) / RADIUS;
  if (angle < 1e-9) return [[a.longitude, a.latitude], [b.longitude, b.latitude]];
  const [from, to] = [vector(a), vector(b)];
  return Array.from({ length: steps + 1 }, (_, index): Position => {
    const part = index / steps;
    const [first, second] = [Math.sin((1 - part) * angle), Math.sin(part * angle)];
    const [x = 0, y = 0, z = 0] = from.map((value, axis) => (first * value + second * (to[axis] ?? 0)) / Math.sin(angle));
    return [Math.atan2(y, x) / RADIANS, Math.atan2(z, Math.hypot(x, y)) / RADIANS];
  });
}

function vector({ latitude, longitude }: Location): number[] {
  const [phi, lambda] = [latitude * RADIANS, longitude * RADIANS];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}
