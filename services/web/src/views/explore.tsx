// The partitions and the reference photos of the active release, fetched for what the map shows.
import { useRef, useState } from "preact/hooks";
import { ask } from "../api/client";
import { GeocellMap, ReferenceClusters, ReferencesInBox } from "../api/generated";
import { Empty, Picture, Problem, Section, Skeleton, sized } from "../parts/basics";
import { Legend } from "../parts/legend";
import { area, coordinates, short, whole } from "../format";
import { type Box, WORLD } from "../geometry/box";
import { byDensity, collection, collectionOf, densityRange, edgesOf } from "../map/data";
import { EMPTY } from "../map/layers";
import { line } from "../names";
import { formatRoute, type View } from "../route";
import { useLoad } from "../state/load";
import { mapView, useMap } from "../state/map";
import { go, replace, route } from "../state/router";
import { activeRelease } from "../state/session";

/** Cells asked for at once, most photos first. */
const MOST = 2000;
/** Photos shown beside the map. */
const PICTURES = 12;
const LISTED = 8;
/** Milliseconds of rest before a moved map asks. */
const REST = 220;

export function ExploreView({ level, view }: { level: number | undefined; view: View | undefined }) {
  const release = activeRelease.value;
  const levels = release?.levels ?? [];
  const now = Math.min(level ?? 2, Math.max(0, levels.length - 1));
  const [showCells, setShowCells] = useState(true);
  const [showPhotos, setShowPhotos] = useState(true);
  const [sight, setSight] = useState<{ box: Box; zoom: number }>({ box: WORLD, zoom: view?.zoom ?? 1 });
  const start = useRef(view);
  const id = release?.id;

  useMap((map) => {
    map.clear();
    map.colourCells("density");
    if (start.current) map.show(start.current);
    setSight({ box: map.box(), zoom: map.map.getZoom() });
    let timer: ReturnType<typeof setTimeout>;
    map.handle({
      cell: (token, own) => go({ name: "cell", level: own ?? 0, token }),
      cluster: (properties, at) => {
        const { west, south, east, north, count } = properties as Record<string, number>;
        const wide = (east ?? 0) - (west ?? 0) + (north ?? 0) - (south ?? 0);
        if ((count ?? 1) > 1 && wide > 1e-4) map.fit({ west: west ?? 0, south: south ?? 0, east: east ?? 0, north: north ?? 0 }, 15);
        else map.show({ ...at, zoom: Math.min(17, map.map.getZoom() + 2) });
      },
      describe: (layer, properties) =>
        layer === "clusters"
          ? `${whole(Number(properties["count"]))} reference ${properties["count"] === 1 ? "photo" : "photos"}`
          : `${properties["name"] ?? "At sea"} · ${whole(Number(properties["photos"]))} training photos`,
      moved: (moved, box, zoom) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          setSight({ box, zoom });
          const here = route.peek();
          if (here.name === "explore") replace({ ...here, view: moved });
        }, REST);
      },
    });
    return () => clearTimeout(timer);
  }, []);

  const { box, zoom } = sight;
  const cells = useLoad(
    async (signal) => {
      if (!id) return undefined;
      const { geocellMap } = await ask(GeocellMap, { level: now, first: MOST, box, release: id }, signal);
      return { ...geocellMap, features: collection(geocellMap.geojson).features };
    },
    [id, now, box],
  );
  const clusters = useLoad(
    async (signal) => {
      if (!id) return undefined;
      const zoomOfGrid = Math.max(0, Math.min(22, Math.round(zoom)));
      return (await ask(ReferenceClusters, { box, zoom: zoomOfGrid, release: id }, signal)).referenceClusters;
    },
    [id, box, zoom],
  );
  const pictures = useLoad(
    async (signal) => {
      if (!id) return [];
      return (await ask(ReferencesInBox, { box, first: PICTURES, release: id }, signal)).referenceImages.nodes;
    },
    [id, box],
  );

  useMap(
    (map) => {
      const painted = showCells && cells.value ? byDensity(cells.value.features) : (EMPTY as never);
      map.set("cells", painted);
      map.set("cell-edges", edgesOf(painted));
    },
    [cells.value, showCells],
  );
  useMap(
    (map) => {
      const found = showPhotos ? (clusters.value?.clusters ?? []) : [];
      map.set(
        "clusters",
        collectionOf(
          found.map(({ count, location, bounds }) => ({
            type: "Feature",
            properties: { count, label: short(count), ...bounds },
            geometry: { type: "Point", coordinates: [location.longitude, location.latitude] },
          })),
        ),
      );
    },
    [clusters.value, showPhotos],
  );

  if (release === null) {
    return (
      <>
        <h1>Explore</h1>
        <Empty title="No release is active yet">
          <a href={formatRoute({ name: "releases" })}>See the releases</a>
        </Empty>
      </>
    );
  }
  const features = cells.value?.features ?? [];
  const [lowest, highest] = densityRange(features);
  return (
    <>
      <h1>Explore</h1>
      <p class="lede">
        Where the training photos of this release are: its partitions of the Earth, finer where there are more photos, and
        the reference photos in sight.
      </p>
      <label class="field slider-field">
        <span>
          Level {now}: {whole(levels[now]?.geocells ?? 0)} cells
        </span>
        <input
          type="range"
          min={0}
          max={Math.max(0, levels.length - 1)}
          value={now}
          aria-valuetext={`Level ${now}, ${levels[now]?.geocells ?? 0} cells`}
          onInput={(event) => replace({ name: "explore", level: Number(event.currentTarget.value), ...(view ? { view } : {}) })}
        />
        <span class="narrowing-ends quiet" aria-hidden="true">
          <span>coarse</span>
          <span>fine</span>
        </span>
      </label>
      <div class="row">
        <label class="check">
          <input type="checkbox" checked={showCells} onChange={(event) => setShowCells(event.currentTarget.checked)} />
          <span>Cells</span>
        </label>
        <label class="check">
          <input type="checkbox" checked={showPhotos} onChange={(event) => setShowPhotos(event.currentTarget.checked)} />
          <span>Reference photos</span>
        </label>
      </div>
      {features.length > 0 && (
        <>
          <Legend scale="density" from={`${density(lowest)}`} to={`${density(highest)} photos per 1,000 km²`} />
          <p class="fact" role="status">
            {cells.value?.truncated
              ? `The ${whole(features.length)} cells with most photos of ${whole(cells.value.total)} in sight`
              : `${whole(features.length)} ${features.length === 1 ? "cell" : "cells"} in sight`}
            {clusters.value && `, ${whole(clusters.value.total)} reference photos`}
          </p>
        </>
      )}
      {cells.state === "failed" && <Problem problem={cells.problem} again={cells.again} />}
      {clusters.state === "failed" && <Problem problem={clusters.problem} again={clusters.again} />}
      {!cells.value && cells.state === "loading" && <Skeleton lines={4} label="Loading cells" />}
      {cells.state === "ready" && !features.length && (
        <Empty title="No cells here">
          <p>Nobody took training photos in what the map shows. Zoom out, or move on.</p>
        </Empty>
      )}
      {features.length > 0 && (
        <Section title="Most photographed cells in sight">
          <ol class="cell-list">
            {features.slice(0, LISTED).map(({ properties: cell }) => (
              <li key={cell.token}>
                <a href={formatRoute({ name: "cell", level: now, token: cell.token })}>
                  <span class="cell-name">{cell.name ?? coordinates(cell, 1)}</span>
                  <span class="quiet">{area(cell.areaKm2)}</span>
                  <span class="number-cell">{whole(cell.photos)}</span>
                </a>
              </li>
            ))}
          </ol>
        </Section>
      )}
      <Section title="Reference photos in sight">
        {pictures.state === "failed" && <Problem problem={pictures.problem} again={pictures.again} />}
        {pictures.state === "ready" && !pictures.value.length && <p class="quiet">None in what the map shows.</p>}
        <ul class="gallery">
          {(pictures.value ?? []).map((image) => (
            <li key={image.id}>
              <button
                type="button"
                class="reference"
                onClick={() => mapView.peek()?.show({ ...image.location, zoom: Math.max(12, zoom) })}
              >
                <Picture path={sized(image.thumbnailUrl, 256)} alt={`Reference photo, ${line(image.place)}`} className="reference-photo" />
                <span class="reference-text quiet one-line">{line(image.place)}</span>
              </button>
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}

function density(value: number): string {
  if (value >= 10) return whole(value);
  return value >= 0.1 ? value.toFixed(1) : value.toPrecision(1);
}
