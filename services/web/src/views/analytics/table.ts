// Rows of an analyst's view by the names of their columns.
import { ask } from "../../api/client";
import { Analytics, AnalyticsViews, type AnalyticsViewsQuery } from "../../api/generated";

export type Row = Readonly<Record<string, string | number | boolean | null>>;

export interface Table {
  rows: Row[];
  truncated: boolean;
  /** Whether the view knows days; otherwise it tells of all time whatever was asked. */
  sinceApplied: boolean;
}

/** Most rows asked for. */
const MOST = 5000;

export async function analytics(
  view: string,
  filter: { release: string | null; since: string | null },
  signal: AbortSignal,
): Promise<Table> {
  const about = (await views()).find(({ name }) => name === view);
  const release = about?.takesRelease ? filter.release : null;
  const since = about?.takesSince ? filter.since : null;
  const { analytics: found } = await ask(Analytics, { view, release, since, first: MOST }, signal);
  const names = found.view.columns.map(({ name }) => name);
  return { rows: toRows(names, found.rows), truncated: found.truncated, sinceApplied: since === filter.since };
}

let known: Promise<AnalyticsViewsQuery["analyticsViews"]> | undefined;

/** The views of the service and what they can be asked; asked once, again after a failure. */
function views(): Promise<AnalyticsViewsQuery["analyticsViews"]> {
  known ??= ask(AnalyticsViews, {}).then(
    ({ analyticsViews }) => analyticsViews,
    (error: unknown) => {
      known = undefined;
      throw error;
    },
  );
  return known;
}

/** One record a row; what a row lacks is null. */
export function toRows(names: readonly string[], rows: readonly unknown[]): Row[] {
  return rows.map((row) =>
    Object.fromEntries(names.map((name, index) => [name, (row as Row[string][])[index] ?? null])),
  );
}

export function number(row: Row, name: string): number {
  const value = row[name];
  return typeof value === "number" ? value : Number.NaN;
}

export function text(row: Row, name: string): string {
  const value = row[name];
  return value === null || value === undefined ? "" : String(value);
}
