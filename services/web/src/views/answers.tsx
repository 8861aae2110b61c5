// The record: answers of everybody, newest first.
import { useState } from "preact/hooks";
import { ask, ServiceError } from "../api/client";
import { Predictions, type PredictionsQuery } from "../api/generated";
import { Empty, Problem, Skeleton } from "../parts/basics";
import { ago, coordinates, kilometres, moment, percent } from "../format";
import { around } from "../geometry/box";
import { points } from "../map/data";
import { headline, surroundings } from "../names";
import { formatRoute } from "../route";
import { useLoad } from "../state/load";
import { useMap } from "../state/map";
import { go } from "../state/router";

type Row = PredictionsQuery["predictions"]["nodes"][number];
type Filter = "all" | "told" | "untold" | "judged";

const PAGE = 40;
const FILTERS: readonly [Filter, string][] = [
  ["all", "All"],
  ["told", "Could tell"],
  ["untold", "Could not tell"],
  ["judged", "With truth"],
];

function variables(filter: Filter) {
  return {
    cannotTell: filter === "told" ? false : filter === "untold" ? true : null,
    withGroundTruth: filter === "judged" ? true : null,
  };
}

export function AnswersView() {
  const [filter, setFilter] = useState<Filter>("all");
  const [more, setMore] = useState<{ rows: Row[]; end: string | null; busy: boolean; problem?: ServiceError }>({
    rows: [],
    end: null,
    busy: false,
  });
  const loaded = useLoad(
    async (signal) => {
      const { predictions } = await ask(Predictions, { first: PAGE, ...variables(filter) }, signal);
      setMore({ rows: [], end: predictions.pageInfo.hasNextPage ? predictions.pageInfo.endCursor : null, busy: false });
      return predictions.nodes;
    },
    [filter],
  );
  const rows = [...(loaded.value ?? []), ...more.rows];
  useMap(
    (map) => {
      map.clear();
      map.set(
        "references",
        points(rows.map((row) => ({ id: row.id, location: row.location, label: "" }))),
      );
      map.handle({
        reference: (id) => go({ name: "answer", id }),
        describe: (_layer, properties) => {
          const row = rows.find(({ id }) => id === properties["id"]);
          return row && `${headline(row.place)} · ${ago(row.createdAt)}`;
        },
      });
      const box = around(rows.map(({ location }) => [location.longitude, location.latitude]));
      if (box && rows.length > 1) map.fit(box, 4);
    },
    [rows.length, filter, loaded.state],
  );
  const next = async () => {
    if (!more.end) return;
    setMore({ ...more, busy: true });
    try {
      const { predictions } = await ask(Predictions, { first: PAGE, after: more.end, ...variables(filter) });
      const end = predictions.pageInfo.hasNextPage ? predictions.pageInfo.endCursor : null;
      setMore({ rows: [...more.rows, ...predictions.nodes], end, busy: false });
    } catch (error) {
      if (error instanceof ServiceError) setMore({ ...more, busy: false, problem: error });
    }
  };
  return (
    <>
      <h1>Answers</h1>
      <div class="segments" role="group" aria-label="Which answers">
        {FILTERS.map(([value, label]) => (
          <button key={value} type="button" aria-pressed={filter === value} onClick={() => setFilter(value)}>
            {label}
          </button>
        ))}
      </div>
      {loaded.state === "failed" && <Problem problem={loaded.problem} again={loaded.again} />}
      {loaded.state === "loading" && !rows.length && <Skeleton lines={8} label="Loading answers" />}
      {loaded.state === "ready" && !rows.length && (
        <Empty title={filter === "all" ? "Nothing was asked yet" : "No answer is like this"}>
          {filter === "all" && <a href={formatRoute({ name: "locate" })}>Ask about a photo</a>}
        </Empty>
      )}
      <ul class="rows">
        {rows.map((row) => (
          <li key={row.id}>
            <a href={formatRoute({ name: "answer", id: row.id })}>
              <span class="rows-main">
                <strong>{row.cannotTell ? "Could not tell" : headline(row.place)}</strong>
                <span class="quiet one-line">
                  {row.cannotTell ? `Best guess: ${headline(row.place)}` : row.place ? surroundings(row.place) : coordinates(row.location, 2)}
                </span>
                <span class="quiet one-line">
                  {row.fileName ?? coordinates(row.location, 2)} · <time title={moment(row.createdAt)}>{ago(row.createdAt)}</time>
                </span>
              </span>
              <span class="rows-side">
                <strong>{percent(row.within.find(({ kilometres: km }) => km === 25)?.probability ?? row.confidence)}</strong>
                <span class="quiet">within 25 km</span>
                {row.groundTruth && <span class="tone-truth">{kilometres(row.groundTruth.errorKilometres)} off</span>}
              </span>
            </a>
          </li>
        ))}
      </ul>
      {more.problem && <Problem problem={more.problem} />}
      {more.end && (
        <button type="button" class="button wide" disabled={more.busy} onClick={() => void next()}>
          {more.busy ? "Loading…" : "Older answers"}
        </button>
      )}
    </>
  );
}
