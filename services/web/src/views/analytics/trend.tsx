import { percent } from "../../format";
import { LineChart } from "../../parts/line-chart";
import type { Filter } from "../analytics";
import { Card, NO_TRUTH } from "./card";
import { number, text } from "./table";

const KILOMETRES = [1, 25, 200, 750, 2500];

/** Accuracy by day. */
export function TrendCard({ filter }: { filter: Filter }) {
  return (
    <Card title="Accuracy over time" view="accuracy_by_day" filter={filter} wide empty={NO_TRUTH}>
      {(rows) => (
        <LineChart
          label="Share of answers within five distances of the true place, by day"
          top={1}
          format={percent}
          series={KILOMETRES.map((km) => ({
            name: `within ${km.toLocaleString("en")} km`,
            values: new Map(rows.map((row) => [text(row, "day").slice(0, 10), number(row, `within_${km}_km`)])),
          }))}
        />
      )}
    </Card>
  );
}
