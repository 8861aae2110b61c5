// Cuts shapes at the 180th meridian, so that a flat map does not smear them across the world.
import type { Geometry, LineString, MultiLineString, MultiPolygon, Polygon, Position } from "geojson";

/** Longitude and latitude in degrees. */
type Point = readonly [number, number];

const HALF_TURN = 180;
const FULL_TURN = 360;

/** Makes longitudes continuous along a line: no step is longer than half a turn, whatever the numbers become. */
export function unwrap(line: readonly Position[]): Point[] {
  const out: Point[] = [];
  let turn = 0;
  let before: number | undefined;
  for (const position of line) {
    const [longitude = 0, latitude = 0] = position;
    if (before !== undefined) {
      const step = longitude - before;
      if (step > HALF_TURN) turn -= FULL_TURN;
      if (step < -HALF_TURN) turn += FULL_TURN;
    }
    before = longitude;
    out.push([longitude + turn, latitude]);
  }
  return out;
}

/** A ring that goes once round the Earth (Antarctica, a geocell with a pole) is closed through its pole. */
function closeThroughPole(ring: Point[]): Point[] {
  const first = ring[0];
  const last = ring.at(-1);
  if (!first || !last || Math.abs(last[0] - first[0]) < HALF_TURN) return ring;
  const mean = ring.reduce((sum, [, latitude]) => sum + latitude, 0) / ring.length;
  const pole = mean < 0 ? -90 : 90;
  return [...ring, [last[0], pole], [first[0], pole], first];
}

/** The part of a closed ring on one side of a meridian (Sutherland and Hodgman). */
function clip(ring: readonly Point[], meridian: number, keepEast: boolean): Point[] {
  const inside = ([longitude]: Point) => (keepEast ? longitude >= meridian : longitude <= meridian);
  const out: Point[] = [];
  for (const [index, point] of ring.entries()) {
    const before = ring[(index + ring.length - 1) % ring.length] ?? point;
    if (inside(point) !== inside(before)) out.push([meridian, latitudeAt(before, point, meridian)]);
    if (inside(point)) out.push(point);
  }
  return out;
}

function latitudeAt(from: Point, to: Point, meridian: number): number {
  return from[1] + ((to[1] - from[1]) * (meridian - from[0])) / (to[0] - from[0]);
}

/** The turns round the Earth that a line touches: 0 for one between -180 and 180 degrees. */
function turns(line: readonly Point[]): number[] {
  let west = Infinity;
  let east = -Infinity;
  for (const [longitude] of line) {
    west = Math.min(west, longitude);
    east = Math.max(east, longitude);
  }
  const first = Math.floor((west + HALF_TURN) / FULL_TURN);
  const last = Math.ceil((east - HALF_TURN) / FULL_TURN);
  return Array.from({ length: Math.max(1, last - first + 1) }, (_, index) => first + index);
}

function ringInTurn(ring: readonly Point[], turn: number): Position[] | undefined {
  const shift = turn * FULL_TURN;
  const east = clip(ring, shift - HALF_TURN, true);
  const part = clip(east, shift + HALF_TURN, false);
  if (part.length < 3) return undefined;
  const closed = part.map(([longitude, latitude]): Position => [longitude - shift, latitude]);
  const [first, last] = [closed[0], closed.at(-1)];
  if (first && last && (first[0] !== last[0] || first[1] !== last[1])) closed.push([...first]);
  return closed.length < 4 ? undefined : closed;
}

/** A polygon as one or more polygons, none of which crosses the 180th meridian. */
export function cutPolygon(rings: readonly Position[][]): Position[][][] {
  const [outer, ...holes] = rings.map((ring) => closeThroughPole(unwrap(ring)));
  if (!outer) return [];
  const cut: Position[][][] = [];
  for (const turn of turns(outer)) {
    const shell = ringInTurn(outer, turn);
    if (!shell) continue;
    // A hole's numbers may have been unwrapped a turn away from its shell's.
    const inside = holes.flatMap((hole) =>
      turns(hole).flatMap((own) => {
        const part = ringInTurn(hole, own);
        return part && holeBelongs(part, shell) ? [part] : [];
      }),
    );
    cut.push([shell, ...inside]);
  }
  return cut;
}

function holeBelongs(hole: readonly Position[], shell: readonly Position[]): boolean {
  const range = (ring: readonly Position[]) => ring.map(([longitude = 0]) => longitude);
  const [own, around] = [range(hole), range(shell)];
  return Math.min(...own) >= Math.min(...around) && Math.max(...own) <= Math.max(...around);
}

/** A line as one or more lines, none of which crosses the 180th meridian. */
export function cutLine(line: readonly Position[]): Position[][] {
  const points = unwrap(line);
  const parts: Position[][] = [];
  let part: Position[] = [];
  let turn: number | undefined;
  for (const [index, point] of points.entries()) {
    const own = Math.floor((point[0] + HALF_TURN) / FULL_TURN);
    const before = points[index - 1];
    if (before && turn !== undefined && own !== turn) {
      const meridian = Math.max(own, turn) * FULL_TURN - HALF_TURN;
      const latitude = latitudeAt(before, point, meridian);
      part.push([own > turn ? HALF_TURN : -HALF_TURN, latitude]);
      parts.push(part);
      part = [[own > turn ? -HALF_TURN : HALF_TURN, latitude]];
    }
    turn = own;
    part.push([point[0] - own * FULL_TURN, point[1]]);
  }
  parts.push(part);
  return parts.filter((candidate) => candidate.length > 1);
}

/** Cuts any polygon or line; other geometries are left as they are. */
export function cutGeometry(geometry: Geometry): Geometry {
  switch (geometry.type) {
    case "Polygon":
      return polygons(cutPolygon(geometry.coordinates));
    case "MultiPolygon":
      return polygons(geometry.coordinates.flatMap((polygon) => cutPolygon(polygon)));
    case "LineString":
      return lines(cutLine(geometry.coordinates));
    case "MultiLineString":
      return lines(geometry.coordinates.flatMap((line) => cutLine(line)));
    case "GeometryCollection":
      return { type: "GeometryCollection", geometries: geometry.geometries.map(cutGeometry) };
    default:
      return geometry;
  }
}

function polygons(coordinates: Position[][][]): Polygon | MultiPolygon {
  const [only] = coordinates;
  if (only && coordinates.length === 1) return { type: "Polygon", coordinates: only };
  return { type: "MultiPolygon", coordinates };
}

function lines(coordinates: Position[][]): LineString | MultiLineString {
  const [only] = coordinates;
  if (only && coordinates.length === 1) return { type: "LineString", coordinates: only };
  return { type: "MultiLineString", coordinates };
}

/** The visible edges of polygons: their rings without what runs along the 180th meridian or a pole. */
export function edges(geometry: Geometry): MultiLineString {
  const rings: Position[][] =
    geometry.type === "Polygon"
      ? geometry.coordinates
      : geometry.type === "MultiPolygon"
        ? geometry.coordinates.flat()
        : [];
  const onSeam = (a: Position, b: Position) =>
    (Math.abs(a[0] ?? 0) === HALF_TURN && a[0] === b[0]) || (Math.abs(a[1] ?? 0) === 90 && a[1] === b[1]);
  const coordinates: Position[][] = [];
  for (const ring of rings) {
    let line: Position[] = [];
    for (const [index, point] of ring.entries()) {
      const before = ring[index - 1];
      if (before && onSeam(before, point)) {
        if (line.length > 1) coordinates.push(line);
        line = [];
      }
      line.push(point);
    }
    if (line.length > 1) coordinates.push(line);
  }
  return { type: "MultiLineString", coordinates };
}
