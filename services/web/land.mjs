// Writes static/land.svg: the land outline of the upload page's world sketch, from the public-domain Natural Earth
// outlines in the world-atlas package. Equirectangular, one unit a degree, x = longitude, y = -latitude.
// Run with `npm run land` after changing the world-atlas version; the result is committed.
import { readFileSync, writeFileSync } from "node:fs";
import { feature } from "topojson-client";

const topology = JSON.parse(readFileSync(new URL("node_modules/world-atlas/land-110m.json", import.meta.url)));
const land = feature(topology, topology.objects.land);

/** Makes longitudes continuous along a ring, so that an outline over the antimeridian stays in one piece. */
function unwrap(ring) {
  const out = [];
  let turn = 0;
  for (const [index, [longitude, latitude]] of ring.entries()) {
    if (index > 0) {
      const step = longitude - ring[index - 1][0];
      if (step > 180) turn -= 360;
      if (step < -180) turn += 360;
    }
    out.push([longitude + turn, latitude]);
  }
  const first = out[0];
  const last = out[out.length - 1];
  // A ring that goes once round the Earth (Antarctica) is closed through its pole.
  if (Math.abs(last[0] - first[0]) > 180) {
    const pole = first[1] < 0 ? -90 : 90;
    out.push([last[0], pole], [first[0], pole]);
  }
  return out;
}

const number = (value) => String(Math.round(value * 10) / 10);
const trace = (ring, shift) =>
  "M" + ring.map(([longitude, latitude]) => `${number(longitude + shift)} ${number(-latitude)}`).join("L") + "Z";

const paths = [];
for (const { geometry } of land.features ?? [land]) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  for (const polygon of polygons) {
    for (const ring of polygon.map(unwrap)) {
      const longitudes = ring.map(([longitude]) => longitude);
      for (const shift of [-360, 0, 360]) {
        const west = Math.min(...longitudes) + shift;
        const east = Math.max(...longitudes) + shift;
        if (east > -180 && west < 180) paths.push(trace(ring, shift));
      }
    }
  }
}

const svg =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-180 -90 360 180" fill="#8a9a8c">` +
  `<path fill-rule="evenodd" d="${paths.join("")}"/></svg>\n`;
writeFileSync(new URL("static/land.svg", import.meta.url), svg);
console.log(`static/land.svg: ${paths.length} outlines, ${svg.length} bytes`);
