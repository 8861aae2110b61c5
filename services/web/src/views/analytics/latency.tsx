import { duration, whole } from "../../format";
import type { Filter } from "../analytics";
import { Card } from "./card";
import { number, text } from "./table";

const ORDER = ["queue", "decode", "preprocess", "segment", "encode", "search", "references", "total"];

/** Time by stage on the last day with answers. */
export function LatencyCard({ filter }: { filter: Filter }) {
  return (
    <Card title="Time of an answer" view="latency" filter={filter} empty="Nothing was asked yet.">
      {(rows) => {
        const last = rows.map((row) => text(row, "day")).toSorted().at(-1) ?? "";
        const stages = rows
          .filter((row) => text(row, "day") === last)
          .toSorted((a, b) => ORDER.indexOf(text(a, "stage")) - ORDER.indexOf(text(b, "stage")));
        const total = stages.find((row) => row["stage"] === "total");
        const longest = Math.max(1e-9, ...stages.map((row) => number(row, "p99_ms")));
        return (
          <>
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Stage</th>
                  <th scope="col">
                    <span class="visually-hidden">As a bar</span>
                  </th>
                  <th scope="col" class="number-cell">half</th>
                  <th scope="col" class="number-cell">9 in 10</th>
                  <th scope="col" class="number-cell">99 in 100</th>
                </tr>
              </thead>
              <tbody>
                {stages.map((row) => (
                  <tr key={text(row, "stage")} class={row["stage"] === "total" ? "table-total" : ""}>
                    <th scope="row">{text(row, "stage")}</th>
                    <td class="ladder-bar">
                      <span class="bar" aria-hidden="true">
                        <span class="bar-faint" style={{ width: `${(number(row, "p99_ms") / longest) * 100}%` }} />
                        <span class="bar-fill" style={{ width: `${(number(row, "p50_ms") / longest) * 100}%` }} />
                      </span>
                    </td>
                    <td class="number-cell">{duration(number(row, "p50_ms"))}</td>
                    <td class="number-cell">{duration(number(row, "p90_ms"))}</td>
                    <td class="number-cell">{duration(number(row, "p99_ms"))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            <p class="quiet">
              Answered within these times on {last.slice(0, 10)}
              {total ? `, ${whole(number(total, "answers"))} answers` : ""}.
            </p>
          </>
        );
      }}
    </Card>
  );
}
