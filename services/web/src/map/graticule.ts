// Meridians and parallels every 30 degrees, with enough points to be round on the globe.
import type { FeatureCollection, Position } from "geojson";

const STEP = 30;
const DENSITY = 2;

export function graticule(): FeatureCollection {
  const lines: Position[][] = [];
  for (let longitude = -180; longitude < 180; longitude += STEP) {
    const line: Position[] = [];
    for (let latitude = -80; latitude <= 80; latitude += DENSITY) line.push([longitude, latitude]);
    lines.push(line);
  }
  for (let latitude = -60; latitude <= 60; latitude += STEP) {
    const line: Position[] = [];
    for (let longitude = -180; longitude <= 180; longitude += DENSITY) line.push([longitude, latitude]);
    lines.push(line);
  }
  return {
    type: "FeatureCollection",
    features: [{ type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } }],
  };
}
