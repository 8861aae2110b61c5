import { percent, whole } from "../../format";
import type { Filter } from "../analytics";
import { Card, NO_TRUTH } from "./card";
import { number, text, type Row } from "./table";

/** Accuracy at the five distances, with its interval and what the answers had claimed. */
export function AccuracyCard({ filter }: { filter: Filter }) {
  return (
    <Card title="Accuracy" view="accuracy" filter={filter} empty={NO_TRUTH}>
      {(rows) => <Thresholds rows={rows} />}
    </Card>
  );
}

function Thresholds({ rows }: { rows: readonly Row[] }) {
  const sorted = rows.toSorted((a, b) => number(a, "threshold_km") - number(b, "threshold_km"));
  const first = sorted[0];
  return (
    <>
      <table class="table thresholds">
        <thead>
          <tr>
            <th scope="col">Within</th>
            <th scope="col">
              <span class="visually-hidden">As a bar</span>
            </th>
            <th scope="col" class="number-cell">right</th>
            <th scope="col" class="number-cell">claimed</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={text(row, "threshold_km")}>
              <th scope="row">{whole(number(row, "threshold_km"))} km</th>
              <td class="ladder-bar">
                <Interval accuracy={number(row, "accuracy")} low={number(row, "accuracy_low")} high={number(row, "accuracy_high")} claimed={number(row, "claimed")} />
              </td>
              <td class="number-cell">{percent(number(row, "accuracy"))}</td>
              <td class="number-cell quiet">{percent(number(row, "claimed"))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="quiet">
        Of {whole(first ? number(first, "answers") : 0)} answers. The thin line is the 95 % interval, the diamond what was
        claimed: right of the bar's end is too sure.
      </p>
    </>
  );
}

function Interval({ accuracy, low, high, claimed }: { accuracy: number; low: number; high: number; claimed: number }) {
  const x = (share: number) => 200 * Math.min(1, Math.max(0, share));
  const label = `${percent(accuracy)}, 95 % interval ${percent(low)} to ${percent(high)}, claimed ${percent(claimed)}`;
  return (
    <svg class="interval" viewBox="-4 0 208 18" role="img" aria-label={label} preserveAspectRatio="none">
      <rect class="chart-track" x="0" y="4" width="200" height="10" rx="3" />
      <rect class="chart-fill" x="0" y="4" width={x(accuracy)} height="10" rx="3" />
      <path class="chart-whisker" d={`M${x(low)} 9H${x(high)}M${x(low)} 5V13M${x(high)} 5V13`} />
      <path class="chart-claim" d={`M${x(claimed)} 3.5l3.6 5.5-3.6 5.5-3.6-5.5z`} />
    </svg>
  );
}
