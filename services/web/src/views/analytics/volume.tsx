import { whole } from "../../format";
import { LineChart } from "../../parts/line-chart";
import type { Filter } from "../analytics";
import { Card } from "./card";
import { number, text, type Row } from "./table";

const COUNTS: readonly [string, string][] = [
  ["answers", "answers"],
  ["cannot_tell", "could not tell"],
  ["truths", "true place known"],
];

/** Answers by day. */
export function VolumeCard({ filter }: { filter: Filter }) {
  return (
    <Card title="Answers" view="volume" filter={filter} empty="Nothing was asked yet.">
      {(rows) => (
        <LineChart
          label="Answers by day"
          format={whole}
          series={COUNTS.map(([column, name]) => ({ name, values: byDay(rows, column) }))}
        />
      )}
    </Card>
  );
}

function byDay(rows: readonly Row[], column: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const row of rows) {
    const day = text(row, "day").slice(0, 10);
    sums.set(day, (sums.get(day) ?? 0) + number(row, column));
  }
  return sums;
}
