import { useState } from "preact/hooks";
import { percent, whole } from "../../format";
import type { Filter } from "../analytics";
import { Card, NO_TRUTH } from "./card";
import { number, text, type Row } from "./table";

const CLAIMS: readonly [string, string][] = [
  ["within_1_km", "within 1 km"],
  ["within_25_km", "within 25 km"],
  ["within_200_km", "within 200 km"],
  ["within_750_km", "within 750 km"],
  ["within_2500_km", "within 2,500 km"],
  ["geocell", "in the answered geocell"],
];

const SIZE = 220;
const MARGIN = 34;

/** What was claimed beside what happened: points on the diagonal can be believed. */
export function CalibrationCard({ filter }: { filter: Filter }) {
  const [claim, setClaim] = useState("within_25_km");
  return (
    <Card title="Can the probabilities be believed?" view="calibration" filter={filter} empty={NO_TRUTH}>
      {(rows) => (
        <>
          <label class="field">
            <span>Claim</span>
            <select value={claim} onChange={(event) => setClaim(event.currentTarget.value)}>
              {CLAIMS.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <Diagram rows={rows.filter((row) => row["claim"] === claim && number(row, "answers") > 0)} />
        </>
      )}
    </Card>
  );
}

/** Mean absolute difference of claimed and observed, weighted by answers: the expected calibration error. */
export function expectedError(rows: readonly Row[]): number {
  const answers = rows.reduce((sum, row) => sum + number(row, "answers"), 0);
  const gaps = rows.reduce((sum, row) => sum + number(row, "answers") * Math.abs(number(row, "claimed") - number(row, "observed")), 0);
  return answers ? gaps / answers : 0;
}

function Diagram({ rows }: { rows: readonly Row[] }) {
  const x = (share: number) => MARGIN + share * SIZE;
  const y = (share: number) => 10 + (1 - share) * SIZE;
  const most = Math.max(1, ...rows.map((row) => number(row, "answers")));
  const sorted = rows.toSorted((a, b) => number(a, "bin") - number(b, "bin"));
  const path = sorted.map((row, index) => `${index ? "L" : "M"}${x(number(row, "claimed"))} ${y(number(row, "observed"))}`).join("");
  return (
    <>
      <svg class="chart chart-square" viewBox={`0 0 ${SIZE + MARGIN + 12} ${SIZE + 48}`} role="img" aria-label="Calibration: observed share by claimed probability; the table has the numbers">
        {[0, 0.25, 0.5, 0.75, 1].map((at) => (
          <g key={at}>
            <path class="chart-grid" d={`M${x(at)} ${y(0)}V${y(1)}M${x(0)} ${y(at)}H${x(1)}`} />
            <text class="chart-text" x={x(at)} y={y(0) + 15} text-anchor="middle">{at * 100}</text>
            <text class="chart-text" x={x(0) - 6} y={y(at) + 4} text-anchor="end">{at * 100}</text>
          </g>
        ))}
        <path class="chart-diagonal" d={`M${x(0)} ${y(0)}L${x(1)} ${y(1)}`} />
        <path class="chart-line" d={path} />
        {sorted.map((row) => (
          <circle key={text(row, "bin")} class="chart-point" cx={x(number(row, "claimed"))} cy={y(number(row, "observed"))} r={3 + 6 * Math.sqrt(number(row, "answers") / most)}>
            <title>{`claimed ${percent(number(row, "claimed"))}, observed ${percent(number(row, "observed"))}, ${whole(number(row, "answers"))} answers`}</title>
          </circle>
        ))}
        <text class="chart-text" x={x(0.5)} y={y(0) + 32} text-anchor="middle">claimed, %</text>
        <text class="chart-text" x={x(0) + 6} y={y(1) + 12}>came true, %</text>
      </svg>
      <p class="fact">
        Expected calibration error {percent(expectedError(rows))}. Below the line the answers were too sure, above it too
        modest.
      </p>
      <details class="more">
        <summary>As a table</summary>
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Claimed</th>
              <th scope="col" class="number-cell">answers</th>
              <th scope="col" class="number-cell">mean claim</th>
              <th scope="col" class="number-cell">came true</th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <tr key={text(row, "bin")}>
                <th scope="row">
                  {percent(number(row, "bin_low"))} to {percent(number(row, "bin_high"))}
                </th>
                <td class="number-cell">{whole(number(row, "answers"))}</td>
                <td class="number-cell">{percent(number(row, "claimed"))}</td>
                <td class="number-cell">{percent(number(row, "observed"))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </>
  );
}
