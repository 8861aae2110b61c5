// The slider over the partitions, coarse to fine, and the best cells of the chosen one.
import { Bar, Problem, Section, Skeleton } from "../../parts/basics";
import { Legend } from "../../parts/legend";
import { colourAt } from "../../colour";
import { area, coordinates, percent, whole } from "../../format";
import { formatRoute } from "../../route";
import type { Loaded } from "../../state/load";
import type { Answer } from "../../state/photos";
import { theme } from "../../state/theme";
import type { LevelCells } from "./level-cells";

const LISTED = 6;

export function Levels({
  answer,
  level,
  cells,
  onLevel,
  onFocus,
}: {
  answer: Answer;
  level: number;
  cells: Loaded<LevelCells> & { again: () => void };
  onLevel: (level: number) => void;
  onFocus: (token: string | undefined) => void;
}) {
  const levels = answer.release.levels;
  const finest = levels.length - 1;
  const best = (own: number) => answer.levels?.find((candidate) => candidate.level === own)?.probability ?? 0;
  const own = levels[level];
  const shown = cells.value?.level === level ? cells.value : undefined;
  const first = shown?.features[0];
  return (
    <Section title="How the partitions narrow">
      <div class="narrowing">
        <div class="narrowing-bars" aria-hidden="true">
          {levels.map((candidate) => {
            const share = best(candidate.level);
            return (
              <button
                key={candidate.level}
                type="button"
                tabIndex={-1}
                class={candidate.level === level ? "narrowing-bar narrowing-here" : "narrowing-bar"}
                onClick={() => onLevel(candidate.level)}
              >
                <span class="narrowing-value">{percent(share)}</span>
                <span class="narrowing-column">
                  <span style={{ height: `${Math.max(2, share * 100)}%`, background: colourAt("probability", theme.value, share) }} />
                </span>
              </button>
            );
          })}
        </div>
        <input
          type="range"
          min={0}
          max={finest}
          step={1}
          value={level}
          aria-label="Partition, coarse to fine"
          aria-valuetext={`Level ${level} of ${finest}, ${whole(own?.geocells ?? 0)} cells, best cell ${percent(best(level))}`}
          onInput={(event) => onLevel(Number(event.currentTarget.value))}
        />
        <p class="narrowing-ends quiet" aria-hidden="true">
          <span>coarse</span>
          <span>
            Level {level}: {whole(own?.geocells ?? 0)} cells
          </span>
          <span>fine</span>
        </p>
      </div>
      <p class="fact">
        The best cell of this level{first ? ` has ${area(first.properties.areaKm2)} and` : ""} holds{" "}
        <strong>{percent(best(level))}</strong>, given the path down to it.
      </p>
      <Legend scale="probability" from="unlikely" to="likely" />
      {cells.state === "failed" && <Problem problem={cells.problem} again={cells.again} />}
      {!shown && cells.state === "loading" && <Skeleton lines={4} label="Loading the cells of this level" />}
      {shown && (
        <ol class="cell-list">
          {shown.features.slice(0, LISTED).map(({ properties: cell }) => (
            <li key={cell.token}>
              <a
                href={formatRoute({ name: "cell", level, token: cell.token, release: answer.releaseId })}
                onMouseEnter={() => onFocus(cell.token)}
                onMouseLeave={() => onFocus(undefined)}
                onFocus={() => onFocus(cell.token)}
                onBlur={() => onFocus(undefined)}
              >
                <span class="cell-name">{cell.name ?? coordinates(cell, 1)}</span>
                <Bar
                  share={cell.probability ?? 0}
                  colour={colourAt("probability", theme.value, cell.probability ?? 0)}
                  label={cell.name ?? cell.token}
                />
                <span class="number-cell">{percent(cell.probability ?? 0)}</span>
              </a>
            </li>
          ))}
        </ol>
      )}
      {shown && !shown.whole && (
        <p class="quiet">
          From the record: only the best cells were kept. Send the photo again to see every cell of every level.
        </p>
      )}
    </Section>
  );
}
