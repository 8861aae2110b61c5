// One answer: the place, how sure it is, how the partitions narrow to it, and the photos that support it.
import type { Feature, FeatureCollection } from "geojson";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ask, sentence, ServiceError } from "../api/client";
import { Prediction, PredictionGeojson } from "../api/generated";
import { CopyButton, Empty, Problem, Section, Skeleton } from "../parts/basics";
import { Icon } from "../parts/icons";
import { area, coordinates, kilometres, moment, percent, plainCoordinates, type Location } from "../format";
import { around, positions } from "../geometry/box";
import { byProbability, candidatePoints, edgesOf, errorLine, points, regionOf } from "../map/data";
import type { Pin } from "../map/map-view";
import { EMPTY } from "../map/layers";
import { headline, line, surroundings } from "../names";
import { formatRoute } from "../route";
import { useLoad } from "../state/load";
import { mapView, useMap } from "../state/map";
import { answers, keep, photos, type Answer } from "../state/photos";
import { go, link, replace, route } from "../state/router";
import { verdict } from "../verdict";
import { Candidates } from "./answer/candidates";
import { Ladder } from "./answer/ladder";
import { Levels } from "./answer/levels";
import { levelCells, type LevelCells } from "./answer/level-cells";
import { PhotoBox } from "./answer/photo-box";
import { References } from "./answer/references";
import { Timings } from "./answer/timings";
import { TrueplaceForm } from "./answer/true-place";

export function AnswerView({ id, level }: { id: string; level: number | undefined }) {
  const known = answers.value.get(id);
  const loaded = useLoad(
    async (signal) => {
      const kept = answers.peek().get(id);
      if (kept) return kept;
      const { prediction } = await ask(Prediction, { id }, signal);
      if (!prediction) throw new ServiceError("NOT_FOUND", "There is no answer with this id on this service.");
      keep(prediction);
      return prediction;
    },
    [id],
  );
  if (known) return <Found answer={known} level={level} />;
  if (loaded.state === "failed") {
    return (
      <>
        <h1>Answer</h1>
        {loaded.problem.code === "NOT_FOUND" ? (
          <Empty title={loaded.problem.message}>
            <a href={formatRoute({ name: "locate" })}>Ask about a photo</a>
          </Empty>
        ) : (
          <Problem problem={loaded.problem} again={loaded.again} />
        )}
      </>
    );
  }
  return (
    <>
      <h1>Answer</h1>
      <Skeleton lines={8} label="Loading the answer" />
    </>
  );
}

function Found({ answer, level }: { answer: Answer; level: number | undefined }) {
  const finest = Math.max(0, answer.release.levels.length - 1);
  const now = Math.min(level ?? finest, finest);
  const [chosen, choose] = useState<string | undefined>(undefined);
  const [focus, setFocus] = useState<string | undefined>(undefined);
  const [truth, setTruth] = useState<Location | undefined>(undefined);
  const cells = useLoad((signal) => levelCells(answer, now, signal), [answer.id, now, answer.detailed]);
  // Cells of another level than the slider's are not shown while the right ones are on their way.
  const shown = cells.value?.level === now ? cells.value : undefined;
  useAnswerMap(answer, now, shown, chosen, choose, focus, truth, setTruth, level !== undefined);
  const judged = verdict(answer.within, answer.cannotTell);
  return (
    <>
      <Among answer={answer} />
      {answer.cannotTell && (
        <div class="note note-warn" role="alert">
          <p>
            <strong>Cannot tell.</strong> {sentence(answer.cannotTell)} What follows is the best of many guesses, not an answer.
          </p>
        </div>
      )}
      <div class="answer-head">
      <PhotoBox answer={answer} />
      <div class="headline">
        <h1>{answer.cannotTell ? <span class="guess">Best guess: {headline(answer.place)}</span> : headline(answer.place)}</h1>
        <p class="surroundings">{surroundings(answer.place)}</p>
        <p class="coordinates">{coordinates(answer.location)}</p>
        {!answer.cannotTell && <p class={`verdict tone-${judged.tone}`}>{judged.text}</p>}
      </div>
      </div>
      <Ladder within={answer.within} />
      <p class="fact">
        {percent(answer.credibleRegion.mass)} of the belief lies in {answer.credibleRegion.tokens.length}{" "}
        {answer.credibleRegion.tokens.length === 1 ? "cell" : "cells"} of {area(answer.credibleRegion.areaKm2)} together
        <span class="key-region" aria-hidden="true" /> {answer.restricted && "Only the places that you allowed were considered."}
      </p>
      <div class="row actions">
        <button type="button" class="button button-main" onClick={() => approach(answer)}>
          Zoom to the region
        </button>
        <CopyButton label="Copy coordinates" text={() => plainCoordinates(answer.location)} />
        <CopyButton label="Copy GeoJSON" text={() => geojson(answer.id)} />
        <CopyButton label="Copy link" text={() => link({ name: "answer", id: answer.id })} />
      </div>
      {answer.groundTruth && (
        <p class="note note-truth">
          Recorded true place: <strong>{line(answer.groundTruth.place)}</strong>, {kilometres(answer.groundTruth.errorKilometres)}{" "}
          from the answer ({answer.groundTruth.source}).
        </p>
      )}
      <Levels
        answer={answer}
        level={now}
        cells={cells}
        onLevel={(to) => replace({ name: "answer", id: answer.id, level: to })}
        onFocus={setFocus}
      />
      <References answer={answer} chosen={chosen} onChoose={choose} />
      <Candidates answer={answer} onFocus={setFocus} />
      <TrueplaceForm answer={answer} truth={truth} onTruth={setTruth} />
      <Timings answer={answer} />
      <Section title="Record">
        <dl class="facts">
          <dt>Answered</dt>
          <dd>{moment(answer.createdAt)}</dd>
          <dt>Release</dt>
          <dd>
            <a href={formatRoute({ name: "releases" })}>{answer.releaseId}</a>
          </dd>
          <dt>Photo</dt>
          <dd>{answer.fileName ?? "without a name"}</dd>
          <dt>Entropy</dt>
          <dd>{answer.entropy.toFixed(2)} nats</dd>
          {answer.outsideMass !== null && (
            <>
              <dt>Not scored</dt>
              <dd>at most {percent(answer.outsideMass)} of the belief</dd>
            </>
          )}
          <dt>Id</dt>
          <dd>
            <code>{answer.id}</code>
          </dd>
        </dl>
      </Section>
    </>
  );
}

function approach(answer: Answer): void {
  const cells = (answer.credibleRegion.geojson as FeatureCollection).features;
  const box = around(cells.flatMap(({ geometry }) => positions(geometry)));
  if (box) mapView.peek()?.fit(box, 12);
}

async function geojson(id: string): Promise<string> {
  const { prediction } = await ask(PredictionGeojson, { id });
  return JSON.stringify(prediction?.geojson ?? null);
}

/** Where the answer stands among the photos of this visit. */
function Among({ answer }: { answer: Answer }) {
  const ids = photos.value.flatMap((photo) => (photo.answer ? [photo.answer.id] : []));
  const index = ids.indexOf(answer.id);
  const [before, after] = [ids[index - 1], ids[index + 1]];
  return (
    <nav class="among" aria-label="Photos of this visit">
      <a class="tool-link" href={formatRoute({ name: "locate" })}>
        <Icon name="back" /> {index >= 0 && ids.length > 1 ? "All photos" : "Another photo"}
      </a>
      {index >= 0 && ids.length > 1 && (
        <span class="among-steps">
          <button type="button" class="tool" aria-label="Photo before" disabled={!before} onClick={() => before && go({ name: "answer", id: before })}>
            <Icon name="back" />
          </button>
          <span>
            {index + 1} of {ids.length}
          </span>
          <button type="button" class="tool" aria-label="Next photo" disabled={!after} onClick={() => after && go({ name: "answer", id: after })}>
            <Icon name="next" />
          </button>
        </span>
      )}
    </nav>
  );
}

function useAnswerMap(
  answer: Answer,
  level: number,
  cells: LevelCells | undefined,
  chosen: string | undefined,
  choose: (id: string | undefined) => void,
  focus: string | undefined,
  truth: Location | undefined,
  setTruth: (to: Location) => void,
  near: boolean,
): void {
  const region = useMemo(() => regionOf(answer.credibleRegion.geojson as FeatureCollection), [answer]);
  useMap((map) => {
    map.clear();
    map.colourCells("probability");
    map.set("region", region);
  }, [answer.id]);
  useMap(
    (map) => {
      map.set(
        "references",
        points(
          answer.references.map(({ image }, index) => ({
            id: image.id,
            location: image.location,
            label: String(index + 1),
            chosen: image.id === chosen,
          })),
        ),
      );
    },
    [answer.id, chosen],
  );
  useMap(
    (map) => {
      const painted = cells ? byProbability(cells.features) : (EMPTY as never);
      map.set("cells", painted);
      map.set("cell-edges", edgesOf(painted));
      map.set("cell-points", candidatePoints(cells?.features ?? []));
    },
    [cells],
  );
  useMap(
    (map) => {
      const found = cells?.features.find(({ properties }) => properties.token === focus) as Feature | undefined;
      map.set("focus", edgesOf({ type: "FeatureCollection", features: found ? [found] : [] }));
    },
    [cells, focus],
  );
  useMap(
    (map) => {
      map.handle({
        reference: (id) => choose(id),
        cell: (token, own) => go({ name: "cell", level: own ?? level, token, release: answer.releaseId }),
        describe: (layer, properties) => {
          if (layer === "references") return referenceText(answer, String(properties["id"]));
          const probability = Number(properties["probability"] ?? 0);
          return `${properties["name"] ?? "At sea"} · ${percent(probability)}`;
        },
      });
    },
    [answer.id, level],
  );
  useMap(
    (map) => {
      const pins: Pin[] = [
        { location: answer.location, kind: answer.cannotTell ? "unsure" : "answer", label: `Answer: ${line(answer.place)}` },
      ];
      const recorded = answer.groundTruth?.location;
      const place = truth ?? recorded;
      if (place) {
        pins.push({ location: place, kind: "truth", label: "True place", ...(truth ? { onMoved: setTruth } : {}) });
      }
      map.pins(pins);
      map.set("error", place ? errorLine(answer.location, place) : (EMPTY as never));
    },
    [answer.id, answer.groundTruth, truth],
  );
  useMap(
    (map) => {
      if (!cells || route.peek().name !== "answer") return;
      const box = around([
        ...believed(cells.features).flatMap(({ geometry }) => positions(geometry)),
        [answer.location.longitude, answer.location.latitude],
      ]);
      // Belief in two hemispheres cannot be seen at once; the globe then shows the answer's.
      // Belief in two hemispheres cannot be seen at once; the globe then shows the answer's. At first the countries round the
      // place are in sight, so that one sees where on Earth it is; whoever moves the slider comes nearer.
      if (!box || box.east - box.west > 110 || box.north - box.south > 90) map.turnTo(answer.location);
      else map.fit(box, near ? 11 : AROUND);
    },
    [cells],
  );
  useEffect(() => () => choose(undefined), [answer.id]);
}

/** Zoom at which the countries round a place are in sight. */
const AROUND = 3.5;

/** The likeliest cells that hold most of the belief together. */
function believed(cells: LevelCells["features"]): LevelCells["features"] {
  let held = 0;
  return cells.filter(({ properties }) => {
    const wanted = held < 0.85;
    held += properties.probability ?? 0;
    return wanted;
  });
}

function referenceText(answer: Answer, id: string): string | undefined {
  const index = answer.references.findIndex(({ image }) => image.id === id);
  const found = answer.references[index];
  if (!found) return undefined;
  return `Reference ${index + 1}: ${line(found.image.place)}, ${kilometres(found.distanceKilometres)} from the answer`;
}
