// A geocell's page: what it is, what it lies in and holds, which cells look like it, its photos.
import type { Geometry } from "geojson";
import { ask, ServiceError } from "../api/client";
import { Geocell, type GeocellQuery } from "../api/generated";
import { Bar, CopyButton, Empty, Picture, Problem, Section, Skeleton, sized } from "../parts/basics";
import { area, coordinates, kilometres, whole } from "../format";
import { densityPosition } from "../colour";
import { edgesOf, plainCells } from "../map/data";
import { headline, line, surroundings } from "../names";
import { formatRoute } from "../route";
import { useLoad } from "../state/load";
import { mapView, useMap } from "../state/map";
import { go, link } from "../state/router";

type Cell = NonNullable<GeocellQuery["geocell"]>;

export function CellView({ level, token, release }: { level: number; token: string; release: string | undefined }) {
  const loaded = useLoad(
    async (signal) => {
      const { geocell } = await ask(Geocell, { token, level, release: release ?? null }, signal);
      if (!geocell) throw new ServiceError("NOT_FOUND", `This release has no cell ${token} on level ${level}.`);
      return geocell;
    },
    [token, level, release],
  );
  if (loaded.value) return <Found cell={loaded.value} release={release} />;
  return (
    <>
      <h1>Geocell {token}</h1>
      {loaded.state === "failed" &&
        (loaded.problem.code === "NOT_FOUND" ? (
          <Empty title={loaded.problem.message}>
            <a href={formatRoute({ name: "explore" })}>Explore the cells</a>
          </Empty>
        ) : (
          <Problem problem={loaded.problem} again={loaded.again} />
        ))}
      {loaded.state === "loading" && <Skeleton lines={8} label="Loading the cell" />}
    </>
  );
}

function Found({ cell, release }: { cell: Cell; release: string | undefined }) {
  const to = (level: number, token: string) => formatRoute({ name: "cell", level, token, ...(release ? { release } : {}) });
  useMap(
    (map) => {
      map.clear();
      map.colourCells("density");
      const densities = cell.children.map(({ density }) => density);
      const [lowest, highest] = [Math.min(...densities), Math.max(...densities)];
      const inner = cell.children.map(({ token, outline, density }) => ({
        token,
        outline,
        value: densityPosition(density, lowest, highest),
      }));
      const alike = cell.neighbours.map(({ geocell, cosine }) => ({ token: geocell.token, outline: geocell.outline, value: Math.max(0, cosine) }));
      const painted = plainCells(inner.length ? inner : alike);
      map.set("cells", painted);
      map.set("cell-edges", edgesOf(painted));
      map.set("focus", edgesOf({ type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry: cell.outline as Geometry }] }));
      const known = new Map([...cell.children, ...cell.neighbours.map(({ geocell }) => geocell)].map((own) => [own.token, own]));
      map.handle({
        cell: (token) => {
          const own = known.get(token);
          if (own) go({ name: "cell", level: own.level, token, ...(release ? { release } : {}) });
        },
        describe: (_layer, properties) => {
          const own = known.get(String(properties["token"]));
          return own && `${line(own.place)} · ${whole(own.photos)} training photos`;
        },
      });
      const { west, east } = cell.bounds;
      map.fit({ ...cell.bounds, east: east < west ? east + 360 : east });
    },
    [cell],
  );
  return (
    <>
      <nav aria-label="Cells that contain this one">
        <ol class="path">
          {cell.path.map((own) => (
            <li key={own.level}>
              {own.level === cell.level ? (
                <span aria-current="page">Level {own.level}</span>
              ) : (
                <a href={to(own.level, own.token)} title={`${line(own.place)}, ${whole(own.photos)} photos`}>
                  Level {own.level}
                </a>
              )}
            </li>
          ))}
        </ol>
      </nav>
      <div class="headline">
        <h1>{headline(cell.place)}</h1>
        <p class="surroundings">{surroundings(cell.place)}</p>
        <p class="coordinates">
          Geocell <code>{cell.token}</code> · {coordinates(cell.location)}
        </p>
      </div>
      <dl class="figures">
        <div>
          <dt>Training photos</dt>
          <dd>{whole(cell.photos)}</dd>
        </div>
        <div>
          <dt>Reference photos</dt>
          <dd>{whole(cell.references)}</dd>
        </div>
        <div>
          <dt>Area</dt>
          <dd>{area(cell.areaKm2)}</dd>
        </div>
        <div>
          <dt>Photos per 1,000 km²</dt>
          <dd>{cell.density < 10 ? cell.density.toFixed(1) : whole(cell.density)}</dd>
        </div>
      </dl>
      <div class="row">
        <CopyButton label="Copy link" text={() => link({ name: "cell", level: cell.level, token: cell.token, ...(release ? { release } : {}) })} />
        <CopyButton label="Copy outline as GeoJSON" text={() => JSON.stringify(cell.outline)} />
      </div>
      {cell.children.length > 0 && (
        <Section title={`Finer cells inside (${whole(cell.children.length)})`}>
          <CellLinks cells={cell.children} to={to} />
        </Section>
      )}
      {cell.neighbours.length > 0 && (
        <Section title="Cells that look alike to the model">
          <ol class="cell-list">
            {cell.neighbours.map(({ geocell, cosine, distanceKilometres }) => (
              <li key={geocell.token}>
                <a href={to(geocell.level, geocell.token)}>
                  <span class="cell-name">
                    {line(geocell.place)}
                    <span class="quiet">{kilometres(distanceKilometres)} away</span>
                  </span>
                  <Bar share={Math.max(0, cosine)} label={`Cosine with ${geocell.token}`} />
                  <span class="number-cell">{cosine.toFixed(2)}</span>
                </a>
              </li>
            ))}
          </ol>
        </Section>
      )}
      <Section title="Reference photos here">
        {!cell.referenceImages.nodes.length && <p class="quiet">None.</p>}
        <ul class="gallery">
          {cell.referenceImages.nodes.map((image) => (
            <li key={image.id}>
              <button type="button" class="reference" onClick={() => mapView.peek()?.show({ ...image.location, zoom: 13 })}>
                <Picture path={sized(image.thumbnailUrl, 256)} alt={`Reference photo, ${line(image.place)}`} className="reference-photo" />
                <span class="reference-text quiet one-line">{coordinates(image.location, 2)}</span>
              </button>
            </li>
          ))}
        </ul>
        {cell.referenceImages.pageInfo.hasNextPage && <p class="quiet">And more: zoom into the cell on Explore to see them.</p>}
      </Section>
    </>
  );
}

const LISTED = 12;

function CellLinks({ cells, to }: { cells: Cell["children"]; to: (level: number, token: string) => string }) {
  const sorted = cells.toSorted((a, b) => b.photos - a.photos);
  return (
    <>
      <ol class="cell-list">
        {sorted.slice(0, LISTED).map((own) => (
          <li key={own.token}>
            <a href={to(own.level, own.token)}>
              <span class="cell-name">{own.place ? line(own.place) : coordinates(own.location, 1)}</span>
              <span class="quiet">{area(own.areaKm2)}</span>
              <span class="number-cell">{whole(own.photos)}</span>
            </a>
          </li>
        ))}
      </ol>
      {sorted.length > LISTED && <p class="quiet">The other {whole(sorted.length - LISTED)} are on the map.</p>}
    </>
  );
}
