import { useState } from "preact/hooks";
import { Bar } from "../../parts/basics";
import { kilometres, percent, whole } from "../../format";
import type { Filter } from "../analytics";
import { Card, NO_TRUTH } from "./card";
import { number, text } from "./table";

type By = "country" | "continent";

/** Accuracy by region of the true place. */
export function RegionsCard({ filter }: { filter: Filter }) {
  const [by, setBy] = useState<By>("continent");
  return (
    <Card key={by} title="Accuracy by region" view={`accuracy_by_${by}`} filter={filter} wide empty={NO_TRUTH}>
      {(rows) => (
        <>
          <div class="segments" role="group" aria-label="Regions">
            {(["continent", "country"] as const).map((value) => (
              <button key={value} type="button" aria-pressed={by === value} onClick={() => setBy(value)}>
                By {value}
              </button>
            ))}
          </div>
          <div class="scroll" tabIndex={0} role="group" aria-label="Accuracy by region, a table">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">True place</th>
                  <th scope="col" class="number-cell">answers</th>
                  <th scope="col">
                    <span class="visually-hidden">Within 200 km as a bar</span>
                  </th>
                  <th scope="col" class="number-cell">25 km</th>
                  <th scope="col" class="number-cell">200 km</th>
                  <th scope="col" class="number-cell">750 km</th>
                  <th scope="col" class="number-cell">median error</th>
                </tr>
              </thead>
              <tbody>
                {rows
                  .toSorted((a, b) => number(b, "answers") - number(a, "answers"))
                  .map((row) => {
                    const name = text(row, `truth_${by}`) || "At sea";
                    return (
                      <tr key={name}>
                        <th scope="row">{name}</th>
                        <td class="number-cell">{whole(number(row, "answers"))}</td>
                        <td class="ladder-bar">
                          <Bar share={number(row, "within_200_km")} label={`${name}, within 200 kilometres`} />
                        </td>
                        <td class="number-cell">{percent(number(row, "within_25_km"))}</td>
                        <td class="number-cell">{percent(number(row, "within_200_km"))}</td>
                        <td class="number-cell">{percent(number(row, "within_750_km"))}</td>
                        <td class="number-cell">{kilometres(number(row, "median_error_km"))}</td>
                      </tr>
                    );
                  })}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Card>
  );
}
