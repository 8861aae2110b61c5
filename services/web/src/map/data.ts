// What the service answers, as features for the map's sources.
import type { Feature, FeatureCollection, Geometry, Position } from "geojson";
import { densityPosition } from "../colour";
import { cutGeometry, edges } from "../geometry/antimeridian";
import { greatCircle } from "../geometry/sphere";
import type { Location } from "../format";

/** Properties of a feature of the service's `geocellMap`. */
export interface CellProperties {
  token: string;
  level: number;
  photos: number;
  references: number;
  areaKm2: number;
  density: number;
  latitude: number;
  longitude: number;
  name: string | null;
  probability: number | null;
}

export type CellFeature = Feature<Geometry, CellProperties>;
export type CellMap = FeatureCollection<Geometry, CellProperties>;

/** A collection that the service sent as JSON. */
export function collection(value: unknown): CellMap {
  const found = value as CellMap;
  return { type: "FeatureCollection", features: found.features ?? [] };
}

/** Cells coloured by the probability of a photo, least probable first so that the likeliest lie on top. */
export function byProbability(cells: readonly CellFeature[]): FeatureCollection {
  const features = cells
    .filter(({ properties }) => (properties.probability ?? 0) > 1e-4)
    .toSorted((a, b) => (a.properties.probability ?? 0) - (b.properties.probability ?? 0));
  return collectionOf(
    features.map((cell) => {
      const value = cell.properties.probability ?? 0;
      return painted(cell, value, 0.1 + 0.7 * Math.min(1, Math.sqrt(value)));
    }),
  );
}

/** Points at the mean places of the likely cells, least likely first. */
export function candidatePoints(cells: readonly CellFeature[]): FeatureCollection {
  const likely = cells.filter(({ properties }) => (properties.probability ?? 0) >= LIKELY).slice(0, MOST_POINTS);
  return collectionOf(
    likely.toReversed().map(({ properties }) => ({
      type: "Feature",
      properties: { ...properties, value: properties.probability ?? 0 },
      geometry: { type: "Point", coordinates: [properties.longitude, properties.latitude] },
    })),
  );
}

/** Probability from which a cell gets a point. */
const LIKELY = 0.005;
const MOST_POINTS = 60;

/** Cells coloured by how many training photos they have on their area. */
export function byDensity(cells: readonly CellFeature[]): FeatureCollection {
  const [lowest, highest] = densityRange(cells);
  return collectionOf(
    cells.map((cell) => painted(cell, densityPosition(cell.properties.density, lowest, highest), 0.72)),
  );
}

/** The smallest and the largest density of cells, in photos per 1000 km². */
export function densityRange(cells: readonly CellFeature[]): [number, number] {
  const densities = cells.map(({ properties }) => properties.density).filter((density) => density > 0);
  return densities.length ? [Math.min(...densities), Math.max(...densities)] : [0, 0];
}

/** Cells in one colour, such as the neighbours of a chosen one. */
export function plainCells(outlines: readonly { token: string; outline: unknown; value: number }[]): FeatureCollection {
  return collectionOf(
    outlines.map(({ token, outline, value }) => ({
      type: "Feature",
      properties: { token, value, opacity: 0.55 },
      geometry: cutGeometry(outline as Geometry),
    })),
  );
}

function painted(cell: CellFeature, value: number, opacity: number): Feature {
  return { type: "Feature", properties: { ...cell.properties, value, opacity }, geometry: cutGeometry(cell.geometry) };
}

/** The edges of polygons without those on the 180th meridian. */
export function edgesOf(polygons: FeatureCollection): FeatureCollection {
  return collectionOf(
    polygons.features.map(({ geometry }) => ({ type: "Feature", properties: {}, geometry: edges(geometry) })),
  );
}

/** The outer edge of touching cells: what two of them share is left out. */
export function outerEdges(polygons: FeatureCollection): FeatureCollection {
  const seen = new Map<string, { count: number; segment: Position[] }>();
  for (const { geometry } of polygons.features) {
    for (const line of edges(cutGeometry(geometry)).coordinates) {
      for (const [index, to] of line.entries()) {
        const from = line[index - 1];
        if (!from) continue;
        const name = [key(from), key(to)].toSorted().join(" ");
        const entry = seen.get(name);
        if (entry) entry.count += 1;
        else seen.set(name, { count: 1, segment: [from, to] });
      }
    }
  }
  const coordinates = [...seen.values()].filter(({ count }) => count === 1).map(({ segment }) => segment);
  return collectionOf([{ type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates } }]);
}

function key([longitude = 0, latitude = 0]: Position): string {
  return `${longitude.toFixed(6)},${latitude.toFixed(6)}`;
}

/** A region of touching cells: their areas, and the edge round them. */
export function regionOf(polygons: FeatureCollection): FeatureCollection {
  const areas = polygons.features.map(({ geometry }): Feature => ({ type: "Feature", properties: { kind: "area" }, geometry: cutGeometry(geometry) }));
  const lines = outerEdges(polygons).features.map((edge): Feature => ({ ...edge, properties: { kind: "edge" } }));
  return collectionOf([...areas, ...lines]);
}

/** Numbered points. */
export function points(
  places: readonly { id: string; location: Location; label: string; chosen?: boolean }[],
): FeatureCollection {
  return collectionOf(
    places.map(({ id, location, label, chosen = false }) => ({
      type: "Feature",
      properties: { id, label, chosen },
      geometry: { type: "Point", coordinates: [location.longitude, location.latitude] },
    })),
  );
}

/** The line between a predicted and a true place, cut at the 180th meridian. */
export function errorLine(predicted: Location, truth: Location): FeatureCollection {
  const geometry = cutGeometry({ type: "LineString", coordinates: greatCircle(predicted, truth) });
  return collectionOf([{ type: "Feature", properties: {}, geometry }]);
}

export function collectionOf(features: Feature[]): FeatureCollection {
  return { type: "FeatureCollection", features };
}
