// A card of the analytics page: loads one view and draws it, or says why there is nothing.
import type { ComponentChildren } from "preact";
import { Problem, Skeleton } from "../../parts/basics";
import { useLoad } from "../../state/load";
import type { Filter } from "../analytics";
import { analytics, type Row } from "./table";

export function Card(props: {
  title: string;
  view: string;
  filter: Filter;
  wide?: boolean;
  /** Said when the view has no rows. */
  empty: string;
  children: (rows: readonly Row[]) => ComponentChildren;
}) {
  const { title, view, filter, wide, empty, children } = props;
  const loaded = useLoad((signal) => analytics(view, filter, signal), [view, filter.release, filter.since]);
  const rows = loaded.value?.rows;
  return (
    <section class={wide ? "card card-wide" : "card"} aria-label={title}>
      <h2>
        {title}
        {loaded.value && !loaded.value.sinceApplied && <span class="quiet"> of all time</span>}
      </h2>
      {loaded.state === "failed" && <Problem problem={loaded.problem} again={loaded.again} />}
      {!rows && loaded.state === "loading" && <Skeleton lines={5} label={`Loading ${title}`} />}
      {rows && (rows.length ? children(rows) : <p class="empty-card">{empty}</p>)}
    </section>
  );
}

export const NO_TRUTH =
  "No true places are recorded yet. Open an answer and set its true place, or send them with recordGroundTruth.";
